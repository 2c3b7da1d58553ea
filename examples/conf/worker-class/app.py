import threading


def application(environ, start_response):
    kept = any(thread.name == "prices" for thread in threading.enumerate())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(kept).encode()]
