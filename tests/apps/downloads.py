"""Names files for the server to send: `/url/PATH` by X-Accel-Redirect, `/path/PATH` by X-Sendfile below `DOWNLOADS`."""

from __future__ import annotations

import os

STATED = [("Content-Type", "application/x-own"), ("Content-Disposition", "attachment"), ("ETag", '"own"')]


def response(path: str) -> tuple[str, list[tuple[str, str]]]:
    _, kind, rest = path.split("/", 2)
    if kind == "url":
        return "200 OK", [*STATED, ("X-Accel-Redirect", rest)]
    if kind == "path":
        return "200 OK", [*STATED, ("X-Sendfile", os.path.join(os.environ["DOWNLOADS"], rest))]
    if kind == "plain":
        return "200 OK", []
    return "403 Forbidden", [("X-Accel-Redirect", "/protected/a.txt")]


def wsgi(environ, start_response):
    status, fields = response(environ["PATH_INFO"])
    start_response(status, [*fields, ("Content-Length", "4")])
    return [b"body"]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    status, fields = response(scope["path"])
    headers = [(name.lower().encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": int(status[:3]), "headers": headers})
    # A stream, where WSGI has a list.
    await send({"type": "http.response.body", "body": b"bo", "more_body": True})
    await send({"type": "http.response.body", "body": b"dy"})
