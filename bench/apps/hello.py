"""Answer every request with thirteen bytes: what is left is the cost of the server."""

BODY = b"Hello, world!"
FIELDS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def app(environ, start_response):
    start_response("200 OK", FIELDS)
    return [BODY]
