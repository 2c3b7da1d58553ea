"""The WebSocket laboratory: one view for each thing that a test wants to see from inside.

It is written against the specification alone, without a framework. A path `/name/rest` calls the view `name` on a
WebSocket; over HTTP, `/` answers "Hello, world!" and `/events` tells what the views have noted.
"""

from __future__ import annotations

import json

from asgi_lab import body, mark, shown, start

EVENTS: list = []


async def note(*event) -> None:
    EVENTS.append(event)


async def accept(receive, send, **more) -> None:
    message = await receive()
    assert message == {"type": "websocket.connect"}, message
    await send({"type": "websocket.accept", **more})


async def text(send, message: str) -> None:
    await send({"type": "websocket.send", "text": message})


async def echo(scope, receive, send):
    """Say everything again, until the end."""
    await accept(receive, send)
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return await note("disconnect", message["code"], message["reason"])
        assert message.pop("type") == "websocket.receive", message
        await send({"type": "websocket.send", **message})


async def dump(scope, receive, send):
    await accept(receive, send)
    await text(send, json.dumps(shown(scope)))


async def application(scope, receive, send):
    if scope["type"] == "websocket":
        return await globals()[scope["path"].split("/")[1]](scope, receive, send)
    if scope["type"] == "http":
        await start(send, 200, (b"content-type", b"text/plain"))
        return await body(send, json.dumps(EVENTS).encode() if scope["path"] == "/events" else b"Hello, world!")
    assert scope["type"] == "lifespan"
    while True:
        message = await receive()
        mark(message["type"])
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return None
