import gc
import os

LOADED_IN = os.getpid()


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid() != LOADED_IN} {gc.get_freeze_count() > 1000}".encode()]
