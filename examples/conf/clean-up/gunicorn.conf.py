# Something that lives exactly as long as the server.
import os
import tempfile

SPOOL = os.environ.get("SHOP_SPOOL") or os.path.join(tempfile.gettempdir(), "shop-spool")
workers = 2
raw_env = [f"SHOP_SPOOL={SPOOL}"]


def on_starting(server):
    os.makedirs(SPOOL, exist_ok=True)


def on_reload(server):
    server.log.info("the spool stays")


def nworkers_changed(server, new_value, old_value):
    server.log.info("workers: %s, before: %s", new_value, old_value)


def worker_exit(server, worker):
    mine = os.path.join(SPOOL, str(worker.pid))
    if os.path.exists(mine):
        os.remove(mine)


def on_exit(server):
    os.rmdir(SPOOL)
    server.log.info("the spool is gone")
