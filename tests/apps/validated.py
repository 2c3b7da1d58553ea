"""A small application under `wsgiref.validate`, which checks both sides of PEP 3333."""

from __future__ import annotations

import warnings
from wsgiref.validate import WSGIWarning, validator

# A warning would be lost in the log; as an error it is a 500.
warnings.simplefilter("error", WSGIWarning)


def inner(environ, start_response):
    stream = environ["wsgi.input"]
    path = environ["PATH_INFO"]
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/echo":
        return [stream.read(int(environ.get("CONTENT_LENGTH") or 0))]
    if path == "/lines":
        return list(stream)
    if path == "/readline":
        return [stream.readline(), stream.readline(4)]
    if path == "/write":
        write(b"written ")
        return [b"returned"]
    if path == "/stream":
        return (b"%d " % number for number in range(5))
    if path == "/errors":
        environ["wsgi.errors"].write("a complaint\n")
        environ["wsgi.errors"].flush()
    return [b"Hello, world!"]


application = validator(inner)
