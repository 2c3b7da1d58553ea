# Twelve-factor: everything that differs between deployments comes from the environment.
import os


def flag(name, default="false"):
    return os.environ.get(name, default).strip().lower() in ("1", "true", "yes", "on")


bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('SHOP_PORT', '8000')}"
workers = int(os.environ.get("GUNICORN_WORKERS", os.environ.get("WEB_CONCURRENCY", 2)))
threads = int(os.environ.get("GUNICORN_THREADS", 1))
timeout = int(os.environ.get("GUNICORN_TIMEOUT", 30))
loglevel = os.environ.get("LOG_LEVEL", "info").lower()
reload = flag("RELOAD")
accesslog = "-" if flag("ACCESS_LOG", "true") else None

with open(os.environ["SHOP_SECRET_FILE"]) as file:
    raw_env = [f"SHOP_SECRET={file.read().strip()}"]

for name, value in os.environ.items():
    if name.startswith("SHOP_GUNICORN_"):
        locals()[name.removeprefix("SHOP_GUNICORN_").lower()] = value
