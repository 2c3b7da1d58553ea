"""Responses that compression has to judge, the same by WSGI and by ASGI: a path names one of `CASES`.

`/gate/NAME` streams: one event, then another once the gate is open. `/length/N` is a text of N bytes in one piece.
"""

from __future__ import annotations

import json
import tempfile

from asgi_lab import wait_at as wait_async
from lab import wait_at

JSON = ("Content-Type", "application/json")
TEXT = json.dumps([{"number": number, "name": f"customer {number}"} for number in range(600)]).encode()
SIZED = ("Content-Length", str(len(TEXT)))
TAG = ("ETag", '"v1"')

#: What is stated, and the pieces of the body.
CASES: dict[str, tuple[str, list[tuple[str, str]], list[bytes]]] = {
    "whole": ("200 OK", [JSON, TAG, SIZED, ("Accept-Ranges", "bytes")], [TEXT]),
    "unsized": ("200 OK", [JSON], [TEXT]),
    "pieces": ("200 OK", [JSON], [TEXT[:1000], b"", TEXT[1000:5000], TEXT[5000:]]),
    "sized-pieces": ("200 OK", [JSON, SIZED], [TEXT[:1000], TEXT[1000:5000], TEXT[5000:]]),
    "short": ("200 OK", [JSON, ("Content-Length", str(len(TEXT) + 10))], [TEXT[:1000], TEXT[1000:]]),
    "long": ("200 OK", [JSON, ("Content-Length", "2000")], [TEXT[:1000], TEXT[1000:]]),
    "error": ("404 Not Found", [JSON], [TEXT]),
    "small": ("200 OK", [JSON], [TEXT[:499]]),
    "empty": ("200 OK", [JSON], [b""]),
    "image": ("200 OK", [("Content-Type", "image/png")], [TEXT]),
    "untyped": ("200 OK", [], [TEXT]),
    "cookie": ("200 OK", [JSON, ("Set-Cookie", "a=b")], [TEXT]),
    "encoded": ("200 OK", [JSON, ("Content-Encoding", "x-own")], [TEXT]),
    "no-transform": ("200 OK", [JSON, ("Cache-Control", "no-transform")], [TEXT]),
    "md5": ("200 OK", [JSON, ("Content-MD5", "x")], [TEXT]),
    "digest": ("200 OK", [JSON, ("Repr-Digest", "x")], [TEXT]),
    "part": ("206 Partial Content", [JSON, ("Content-Range", f"bytes 0-1999/{len(TEXT)}")], [TEXT[:2000]]),
    "no-content": ("204 No Content", [JSON], []),
    "big": ("200 OK", [JSON], [TEXT * 100]),
}
EVENTS = (b"data: first\n\n", b"data: second\n\n")
EVENT_STREAM = ("Content-Type", "text/event-stream")


def is_held(sent: str) -> bool:
    """Whether a client has what `TAG` names, by the weak comparison that If-None-Match asks for."""
    return TAG[1] in sent.replace("W/", "")


def wsgi(environ, start_response):
    _, name, *rest = environ["PATH_INFO"].split("/")
    if name == "gate":
        start_response("200 OK", [EVENT_STREAM])

        def events():
            yield EVENTS[0]
            wait_at(rest[0])
            yield EVENTS[1]

        return events()
    if name == "length":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * int(rest[0])]
    if name == "file":
        start_response("200 OK", [JSON])
        file = tempfile.TemporaryFile()  # noqa: SIM115
        file.write(TEXT)
        file.seek(0)
        return environ["wsgi.file_wrapper"](file)
    if name == "whole" and is_held(environ.get("HTTP_IF_NONE_MATCH", "")):
        start_response("304 Not Modified", [TAG])
        return []
    status, fields, pieces = CASES.get(name, CASES["small"])
    start_response(status, fields)
    return pieces if len(pieces) == 1 else iter(pieces)


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    _, name, *rest = scope["path"].split("/")
    sent = dict(scope["headers"])

    async def start(status: str, fields: list[tuple[str, str]]) -> None:
        headers = [(key.lower().encode(), value.encode()) for key, value in fields]
        await send({"type": "http.response.start", "status": int(status[:3]), "headers": headers})

    async def give(pieces: list[bytes]) -> None:
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1] if pieces else b""})

    if name == "gate":
        await start("200 OK", [EVENT_STREAM])
        await send({"type": "http.response.body", "body": EVENTS[0], "more_body": True})
        await wait_async(rest[0])
        return await give([EVENTS[1]])
    if name == "length":
        await start("200 OK", [("Content-Type", "text/plain")])
        return await give([b"x" * int(rest[0])])
    if name == "whole" and is_held(sent.get(b"if-none-match", b"").decode()):
        await start("304 Not Modified", [TAG])
        return await give([])
    status, fields, pieces = CASES.get(name, CASES["small"])
    await start(status, fields)
    # A stream does not tell which piece is its last.
    await give(pieces if len(pieces) == 1 else [*pieces, b""])
