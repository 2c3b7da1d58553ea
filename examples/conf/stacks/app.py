import threading


def wait_for_the_database():
    threading.Event().wait(60)


def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        wait_for_the_database()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
