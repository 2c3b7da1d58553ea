"""Responses that end badly, and calls that are counted: the same over WSGI and ASGI."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

CALLS = Path(os.environ.get("LAB_GATES", ".")) / "calls"


def _called() -> None:
    with CALLS.open("a") as calls:
        calls.write("x")


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/cut":

        def produce():
            yield b"the beginning"
            raise RuntimeError("in the middle")

        start_response("200 OK", [("Content-Type", "text/plain")])
        return produce()
    if path == "/slow":
        _called()
        time.sleep(0.2)
    body = b"x" * 30_000_000 if path == "/large" else b"hello"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    path = scope["path"]
    headers = []
    body = b"x" * 30_000_000 if path == "/large" else b"hello"
    if path == "/slow":
        _called()
        await asyncio.sleep(0.2)
    if path != "/cut":
        headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/cut":
        await send({"type": "http.response.body", "body": b"the beginning", "more_body": True})
        raise RuntimeError("in the middle")
    await send({"type": "http.response.body", "body": body})
