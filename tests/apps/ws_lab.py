"""The WebSocket laboratory: one view for each thing that a test wants to see from inside.

It is written against the specification alone, without a framework. On a WebSocket, a path `/view/name` calls the view,
which notes what it has seen under the name. Over HTTP, `/notes/name` tells what was noted and any other path answers
"Hello, world!".
"""

from __future__ import annotations

import asyncio
import json

from asgi_lab import body, mark, shown, start, wait_at

NOTES: dict[str, list] = {}


class Socket:
    """One WebSocket, with few words."""

    def __init__(self, scope, receive, send) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        _, self.view, self.name = scope["path"].split("/", 2)

    def note(self, *what) -> None:
        NOTES.setdefault(self.name, []).append(list(what))

    async def accept(self, **more) -> None:
        message = await self.receive()
        assert message == {"type": "websocket.connect"}, message
        await self.send({"type": "websocket.accept", **more})

    async def say(self, text: str) -> None:
        await self.send({"type": "websocket.send", "text": text})

    async def close(self, **more) -> None:
        await self.send({"type": "websocket.close", **more})

    async def hear(self) -> str | bytes | None:
        """The next message; its end is noted."""
        message = await self.receive()
        if message["type"] == "websocket.receive":
            return message["text"] if message.get("text") is not None else message["bytes"]
        assert message.keys() == {"type", "code", "reason"} and message["type"] == "websocket.disconnect", message
        self.note("disconnect", message["code"], message["reason"])
        return None


async def echo(socket: Socket) -> None:
    await socket.accept()
    while (message := await socket.hear()) is not None:
        kind = "text" if isinstance(message, str) else "bytes"
        await socket.send({"type": "websocket.send", kind: message})


async def dump(socket: Socket) -> None:
    await socket.accept()
    await socket.say(json.dumps(shown(socket.scope)))
    await socket.hear()


async def choose(socket: Socket) -> None:
    """Accept the sub-protocol that is the name, with a field."""
    await socket.accept(subprotocol=socket.name, headers=[(b"x-lab", b"yes"), [b"set-cookie", bytearray(b"a=b")]])
    await socket.hear()


async def refuse(socket: Socket) -> None:
    await socket.receive()
    await socket.close(code=4000)
    await socket.hear()


async def deny(socket: Socket) -> None:
    await socket.receive()
    head = {"status": 418, "headers": [(b"content-type", b"text/plain"), (b"x-why", b"tea")]}
    await socket.send({"type": "websocket.http.response.start", **head})
    await socket.send({"type": "websocket.http.response.body", "body": b"no ", "more_body": True})
    await socket.send({"type": "websocket.http.response.body", "body": b"coffee"})
    await socket.hear()


async def deny_half(socket: Socket) -> None:
    await socket.send({"type": "websocket.http.response.start", "status": 200})
    await socket.send({"type": "websocket.http.response.body", "body": b"half", "more_body": True})


async def close(socket: Socket) -> None:
    """Close with the code that the name is."""
    await socket.accept()
    await socket.close(code=int(socket.name), reason="enough, \xe9")
    await socket.hear()


async def ignore(socket: Socket) -> None:
    """Return before anything was said."""


async def leave(socket: Socket) -> None:
    await socket.accept()
    await socket.say("last words")


async def fail_early(socket: Socket) -> None:
    raise RuntimeError("a view that fails before it accepts")


async def fail(socket: Socket) -> None:
    await socket.accept()
    raise RuntimeError("a view that fails after it has accepted")


async def mistake(socket: Socket) -> None:
    """Do something wrong, and tell which exception it got."""
    early, sent = MISTAKES[socket.name]
    error = None
    try:
        if early:
            await socket.send(sent)
    except Exception as raised:
        error = raised
    await socket.accept()
    try:
        if not early:
            await socket.send(sent)
    except Exception as raised:
        error = raised
    await socket.say(f"{type(error).__name__}: {error}")


MISTAKES: dict[str, tuple[bool, dict]] = {
    "send_early": (True, {"type": "websocket.send", "text": "x"}),
    "body_early": (True, {"type": "websocket.http.response.body", "body": b""}),
    "protocol": (True, {"type": "websocket.accept", "subprotocol": "c d"}),
    "own_field": (True, {"type": "websocket.accept", "headers": [(b"sec-websocket-accept", b"x")]}),
    "bad_field": (True, {"type": "websocket.accept", "headers": [(b"x", b"a\r\nb")]}),
    "bad_fields": (True, {"type": "websocket.accept", "headers": [1]}),
    "accept_twice": (False, {"type": "websocket.accept"}),
    "deny_late": (False, {"type": "websocket.http.response.start", "status": 403}),
    "http": (False, {"type": "http.response.start", "status": 200}),
    "no_type": (False, {}),
    "nothing": (False, {"type": "websocket.send"}),
    "none": (False, {"type": "websocket.send", "text": None, "bytes": None}),
    "no_text": (False, {"type": "websocket.send", "text": b"x"}),
    "no_bytes": (False, {"type": "websocket.send", "bytes": "x"}),
    "surrogate": (False, {"type": "websocket.send", "text": "\ud800"}),
    "code": (False, {"type": "websocket.close", "code": 1006}),
    "codes": (False, {"type": "websocket.close", "code": "1000"}),
    "reason": (False, {"type": "websocket.close", "reason": "x" * 124}),
}


async def after_the_end(socket: Socket) -> None:
    """What is there once the client, or the view itself, has closed."""
    await socket.accept()
    if socket.name == "closed":
        await socket.close()
    while await socket.hear() is not None:
        pass
    for message in ({"type": "websocket.send", "text": "x"}, {"type": "websocket.close"}):
        try:
            await socket.send(message)
            socket.note("sent")
        except Exception as error:
            socket.note(type(error).__name__, isinstance(error, OSError))
    await socket.hear()
    socket.note("done")


async def flood(socket: Socket) -> None:
    """Send until the client is gone."""
    await socket.accept()
    number = 0
    try:
        while number < 4000:
            await socket.send({"type": "websocket.send", "bytes": bytes(1 << 16)})
            number += 1
            socket.scope["state"]["sent"] = NOTES[socket.name] = [["sent", number]]
    except OSError as error:
        socket.note(type(error).__name__)
    await socket.hear()


async def gated(socket: Socket) -> None:
    """Read nothing before a gate opens; then count."""
    await socket.accept()
    await wait_at(socket.name)
    total = number = 0
    while (message := await socket.hear()) not in (None, "over"):
        total, number = total + len(message), number + 1
    await socket.say(f"{number} {total}")


async def late(socket: Socket) -> None:
    """Accept when a gate opens."""
    await socket.receive()
    await wait_at(socket.name)
    try:
        await socket.send({"type": "websocket.accept"})
    except OSError as error:
        socket.note(type(error).__name__)
    await socket.hear()


async def wait(socket: Socket) -> None:
    """Wait for the end, and then a little longer."""
    await socket.accept()
    mark(f"{socket.name}.waits")
    await socket.hear()
    await asyncio.sleep(0.05)
    mark(f"{socket.name}.ended")


async def deaf(socket: Socket) -> None:
    """Never receive anything."""
    await socket.accept()
    try:
        await asyncio.sleep(60)
    finally:
        socket.note("cancelled")


async def receive_first(socket: Socket) -> None:
    """Wait for the next message before the WebSocket is accepted."""
    await socket.receive()
    hearing = asyncio.create_task(socket.hear())
    await asyncio.sleep(0.01)
    await socket.send({"type": "websocket.accept"})
    await socket.say(await hearing)


async def accept_first(socket: Socket) -> None:
    await socket.send({"type": "websocket.accept"})
    await socket.say(f"{(await socket.receive())['type']}, {await socket.hear()}")


async def uncaught(socket: Socket) -> None:
    """Raise what frameworks make of a disconnect, or something of its own after it."""
    await socket.accept()
    await socket.hear()
    raise type(socket.name, (Exception,), {})("of the end")


async def both(socket: Socket) -> None:
    """Two tasks: one that receives, one that sends."""
    await socket.accept()

    async def ticks() -> None:
        for number in range(1000):
            await socket.say(str(number))
            await asyncio.sleep(0)

    ticking = asyncio.create_task(ticks())
    while await socket.hear() is not None:
        pass
    await ticking


async def application(scope, receive, send):
    if scope["type"] == "websocket":
        socket = Socket(scope, receive, send)
        await globals()[socket.view](socket)
    elif scope["type"] == "http":
        _, view, *name = scope["path"].split("/", 2)
        answer = json.dumps(NOTES.get(name[0], [])) if view == "notes" else "Hello, world!"
        await start(send, 200, (b"content-type", b"text/plain"))
        await body(send, answer.encode())
    else:
        await lifespan(receive, send)


async def lifespan(receive, send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    mark("lifespan.ended")
    await send({"type": "lifespan.shutdown.complete"})
