"""Reads `wsgi.input` in the way that the path names and tells what it got."""

from __future__ import annotations

import json


def calls(stream, environ):
    """A mixture, as in `read:3,line,line:2,lines:4,read`: each call and what it returned."""
    for call in environ["QUERY_STRING"].split(","):
        name, _, size = call.partition(":")
        arguments = [] if not size else [None if size == "None" else int(size)]
        yield {"read": stream.read, "line": stream.readline, "lines": stream.readlines}[name](*arguments)


def iterate(stream, environ):
    return list(stream)


def again(stream, environ):
    """At the end every way of reading says so, again and again."""
    stream.read()
    return [stream.read(), stream.read(5), stream.readline(), stream.readlines(), list(stream)]


def shape(value):
    return value.decode("latin-1") if isinstance(value, bytes) else [shape(each) for each in value]


VIEWS = {"calls": calls, "iterate": iterate, "again": again}


def application(environ, start_response):
    view = VIEWS.get(environ["PATH_INFO"].strip("/"))
    got = [shape(each) for each in view(environ["wsgi.input"], environ)] if view else []
    body = json.dumps(got).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
