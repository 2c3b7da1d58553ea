"""Responses in very many small parts, over WSGI, ASGI and WebSockets: `/form/COUNT/SIZE`, any other path says hello.

Forms: `chunked`, `length` (with a Content-Length), `hints` (103 Early Hints before a short answer), over ASGI also
`trailers` (trailer fields behind a body) and over a WebSocket `messages`.
"""

from __future__ import annotations

HELLO = b"Hello, world!"
TEXT = ("Content-Type", "text/plain")


def _asked(path: str) -> tuple[str, int, int]:
    words = path.strip("/").split("/")
    if len(words) != 3:
        return "hello", 1, len(HELLO)
    return words[0], int(words[1]), int(words[2])


def wsgi(environ, start_response):
    form, count, size = _asked(environ["PATH_INFO"])
    if form == "hints":
        for _ in range(count):
            environ["wsgi.early_hints"]([("Link", "x" * size)])
    if form in ("hello", "hints"):
        start_response("200 OK", [TEXT, ("Content-Length", str(len(HELLO)))])
        return [HELLO]
    known = [("Content-Length", str(count * size))] if form == "length" else []
    start_response("200 OK", [TEXT, *known])
    return (b"x" * size for _ in range(count))


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    form, count, size = _asked(scope["path"])
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(count):
            await send({"type": "websocket.send", "bytes": b"x" * size})
        await send({"type": "websocket.close"})
        return
    if form == "hints":
        for _ in range(count):
            await send({"type": "http.response.early_hint", "links": [b"x" * size]})
    headers = [(b"content-type", b"text/plain")]
    if form == "length":
        headers.append((b"content-length", b"%d" % (count * size)))
    trailing = {"trailers": True} if form == "trailers" else {}
    await send({"type": "http.response.start", "status": 200, "headers": headers, **trailing})
    if form in ("hello", "hints", "trailers"):
        await send({"type": "http.response.body", "body": HELLO})
        for number in range(count if trailing else 0):
            field = (b"x-number", b"x" * size)
            await send({"type": "http.response.trailers", "headers": [field], "more_trailers": number + 1 < count})
        return
    for _ in range(count):
        await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
    await send({"type": "http.response.body"})
