"""The application of the soak as WSGI."""

BODY = b"Hello, world!"
PIECE = b"x" * 16384


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/echo":
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (BODY for _ in range(10))
    if path == "/endless":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (PIECE for _ in range(64))
    if path == "/error":
        raise RuntimeError("as the client wished")
    start_response("200 OK", [("Content-Length", str(len(BODY)))])
    return [BODY]
