"""Answer at once, but for requests to /block, which hold their thread for a tenth of a second as a slow query does."""

import time

BODY = b"Hello, world!"
FIELDS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]
BLOCK_S = 0.1


def app(environ, start_response):
    if environ["PATH_INFO"] == "/block":
        time.sleep(BLOCK_S)
    start_response("200 OK", FIELDS)
    return [BODY]
