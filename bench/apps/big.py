"""Answer every request with 10 KB: a page, or a list in JSON."""

BODY = bytes(range(32, 112)) * 128
FIELDS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def app(environ, start_response):
    start_response("200 OK", FIELDS)
    return [BODY]
