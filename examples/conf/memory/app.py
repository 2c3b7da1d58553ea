import os


def application(environ, start_response):
    if environ["PATH_INFO"] == "/grow":
        bytearray(int(environ["QUERY_STRING"]) * 1024 * 1024)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
