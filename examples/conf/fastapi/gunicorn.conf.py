# FastAPI under Gunicorn, with uvicorn's worker. On Oxicorn the name chooses its asgi worker; uvicorn is not needed.
import multiprocessing
import os

wsgi_app = "app:app"
worker_class = "uvicorn.workers.UvicornWorker"
workers = int(os.getenv("MAX_WORKERS", min(multiprocessing.cpu_count(), 4)))
loglevel = os.getenv("LOG_LEVEL", "info")
accesslog = os.getenv("ACCESS_LOG", "-") or None
errorlog = os.getenv("ERROR_LOG", "-") or None
worker_tmp_dir = "/dev/shm"
graceful_timeout = int(os.getenv("GRACEFUL_TIMEOUT", "120"))
timeout = int(os.getenv("TIMEOUT", "120"))
keepalive = int(os.getenv("KEEP_ALIVE", "5"))
