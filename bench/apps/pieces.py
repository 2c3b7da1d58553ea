"""Answer `/many` in 400,000 pieces of 100 bytes, and everything else with thirteen bytes."""

from hello import app as hello


def app(environ, start_response):
    if environ["PATH_INFO"] != "/many":
        return hello(environ, start_response)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (b"x" * 100 for _ in range(400_000))
