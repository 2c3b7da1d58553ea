"""The ASGI laboratory: one view for each thing that a test wants to see from inside.

It is written against the specification alone, without a framework. `/` answers "Hello, world!"; a path
`/name/rest` calls the view `name`.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import os
import sys
import time
from pathlib import Path

GATES = Path(os.environ.get("LAB_GATES", "."))
REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="nobody's")
EVENTS: list[str] = []


def mark(name: str) -> None:
    (GATES / name).touch()


if "LAB_GATES" in os.environ:
    mark(f"imported-{os.getpid()}")


async def wait_at(name: str) -> None:
    """Stand at a gate (see `harness/gates.py`)."""
    mark(f"{name}.entered")
    while not (GATES / f"{name}.open").exists():
        await asyncio.sleep(0.005)


async def start(send, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def body(send, piece: bytes, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": more})


async def plain(send, piece: bytes, status: int = 200) -> None:
    await start(send, status, (b"content-type", b"text/plain"), (b"content-length", b"%d" % len(piece)))
    await body(send, piece)


async def whole(receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        pieces.append(message["body"])
        if not message["more_body"]:
            return b"".join(pieces)


def shown(value):
    """A value with its types, for JSON."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(shown, value)]
    if isinstance(value, bytes):
        return f"b:{value.decode('latin-1')}"
    return value


async def hello(scope, receive, send, _):
    await plain(send, b"Hello, world!")


async def dump(scope, receive, send, _):
    await plain(send, json.dumps(shown(scope)).encode())


async def echo(scope, receive, send, _):
    await plain(send, await whole(receive))


async def pieces(scope, receive, send, _):
    """The sizes of the pieces in which the body came, and what follows its end."""
    sizes, more = [], True
    while more:
        message = await receive()
        sizes.append(len(message["body"]))
        more = message["more_body"]
    await plain(send, json.dumps({"sum": sum(sizes), "largest": max(sizes)}).encode())


async def length(scope, receive, send, _):
    await plain(send, b"%d" % len(await whole(receive)))


async def unread(scope, receive, send, _):
    await plain(send, b"the body is not read")


async def late(scope, receive, send, name):
    """Read the body only once the gate is open."""
    await wait_at(name)
    await plain(send, b"%d" % len(await whole(receive)))


async def gate(scope, receive, send, name):
    try:
        await wait_at(name)
    except asyncio.CancelledError:
        mark(f"{name}.cancelled")
        raise
    await plain(send, name.encode())


async def block(scope, receive, send, name):
    """Stand at a gate and let nothing else of the loop run."""
    mark(f"{name}.entered")
    while not (GATES / f"{name}.open").exists():
        time.sleep(0.005)
    await plain(send, name.encode())


async def pid(scope, receive, send, _):
    await plain(send, b"%d" % os.getpid())


async def stream(scope, receive, send, count):
    await start(send)
    for number in range(int(count)):
        await body(send, b"piece %d\n" % number, more=True)
        await asyncio.sleep(0)
    await body(send, b"")


async def big(scope, receive, send, size):
    """A body in pieces of 64 kB. The mark says before which piece send() had to wait for the client first."""
    await start(send)
    held = False
    for number in range(int(size) // 65536):
        sending = asyncio.ensure_future(body(send, b"x" * 65536, more=True))
        await asyncio.sleep(0)
        if not sending.done() and not held:
            held = True
            mark(f"held-{number}")
        await sending
    await body(send, b"")


async def head_first(scope, receive, send, name):
    await start(send)
    await body(send, b"", more=True)
    await wait_at(name)
    await body(send, b"the rest")


async def views_of_bytes(scope, receive, send, _):
    await start(send, 200, [b"x-list", b"yes"])
    await body(send, memoryview(b"a view, "), more=True)
    await body(send, bytearray(b"an array"))


async def lacking(scope, receive, send, _):
    """Less than the Content-Length promises."""
    await start(send, 200, (b"content-length", b"5"))
    await body(send, b"123")


async def lengthy(scope, receive, send, _):
    """More than the Content-Length allows."""
    await start(send, 200, (b"content-length", b"5"))
    await body(send, b"12345678")


async def status(scope, receive, send, code):
    await start(send, int(code))
    await body(send, b"")


async def hop_by_hop(scope, receive, send, _):
    await start(send, 200, (b"transfer-encoding", b"chunked"), (b"connection", b"keep-alive"), (b"x-mine", b"yes"))
    await body(send, b"ok")


async def pathsend(scope, receive, send, name):
    await start(send, 200, (b"content-type", b"text/plain"))
    await send({"type": "http.response.pathsend", "path": str(GATES / name)})


async def early_hint(scope, receive, send, _):
    await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload", b"</a.js>; rel=preload"]})
    await plain(send, b"late")


async def trailers(scope, receive, send, count):
    headers = [(b"trailer", b"x-sum, x-more")]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})
    for left in reversed(range(int(count))):
        await body(send, b"piece\n", more=left > 0)
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"12")], "more_trailers": True})
    await send({"type": "http.response.trailers", "headers": [[b"x-more", b"yes"]]})


async def no_trailers(scope, receive, send, _):
    await send({"type": "http.response.start", "status": 200, "trailers": True})
    await body(send, b"whole")


async def zero_copy(scope, receive, send, name):
    await start(send)
    await body(send, b"begin", more=True)
    kind = "http.response.zerocopysend"
    with (GATES / name).open("rb") as file:
        await send({"type": kind, "file": file, "offset": 10, "count": 20, "more_body": True})
        await send({"type": kind, "file": file, "count": 5, "more_body": True})
        await send({"type": kind, "file": file.fileno(), "more_body": True})
    await body(send, b"end")


async def zero_copy_whole(scope, receive, send, name):
    await start(send)
    with (GATES / name).open("rb") as file:
        await send({"type": "http.response.zerocopysend", "file": file})


async def debug(scope, receive, send, _):
    await send({"type": "http.response.debug", "info": {"template": "a.html"}})
    await plain(send, b"debugged")


async def early_error(scope, receive, send, _):
    raise RuntimeError("before the start")


async def error_after_start(scope, receive, send, _):
    await start(send, 200, (b"x-first", b"yes"))
    raise RuntimeError("after the start")


async def error_mid_body(scope, receive, send, _):
    await start(send)
    await body(send, b"the beginning", more=True)
    raise RuntimeError("in the middle")


async def error_after_end(scope, receive, send, _):
    await plain(send, b"all of it")
    raise RuntimeError("after the end")


async def nothing(scope, receive, send, _):
    pass


async def head_only(scope, receive, send, _):
    await start(send)


async def half(scope, receive, send, _):
    await start(send)
    await body(send, b"half", more=True)


async def system_exit(scope, receive, send, _):
    sys.exit(0)


async def late_system_exit(scope, receive, send, _):
    await asyncio.sleep(0.01)
    sys.exit(0)


PIPE = os.pipe()[0]
WRITE_ONLY = os.open(GATES / "write-only", os.O_WRONLY | os.O_CREAT)
os.write(WRITE_ONLY, b"cannot be read")
WRONG = {
    "body_first": [{"type": "http.response.body", "body": b"x"}],
    "two_starts": [{"type": "http.response.start", "status": 200}] * 2,
    "unknown": [{"type": "http.response.shout"}],
    "no_type": [{"status": 200}],
    "no_dict": ["http.response.start"],
    "text_status": [{"type": "http.response.start", "status": "200"}],
    "interim_status": [{"type": "http.response.start", "status": 101}],
    "text_header": [{"type": "http.response.start", "status": 200, "headers": [("a", "b")]}],
    "split_header": [{"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\r\nc: d")]}],
    "text_body": [
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.body", "body": "text"},
    ],
    "relative_path": [
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.pathsend", "path": "asgi_lab.py"},
    ],
    "no_descriptor": [
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.zerocopysend", "file": "a name"},
    ],
    "no_regular_file": [
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.zerocopysend", "file": PIPE},
    ],
    "no_reader": [
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.zerocopysend", "file": WRITE_ONLY},
    ],
    "early_trailers": [
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.trailers"},
    ],
    "forbidden_trailer": [
        {"type": "http.response.start", "status": 200, "trailers": True},
        {"type": "http.response.trailers", "headers": [(b"content-length", b"5")]},
    ],
    "no_file": [
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.pathsend", "path": "/there/is/no/such/file"},
    ],
}


async def wrong(scope, receive, send, name):
    """Break a rule, and show what was raised."""
    try:
        for message in WRONG[name]:
            await send(message)
    except Exception as error:
        raised = f"{type(error).__name__}: {error}"
    else:
        raised = "nothing"
    if name in (
        "body_first",
        "unknown",
        "no_type",
        "no_dict",
        "text_status",
        "interim_status",
        "text_header",
        "split_header",
    ):
        await plain(send, raised.encode())
    else:
        await body(send, raised.encode())


async def after_the_end(scope, receive, send, _):
    await plain(send, b"complete")
    message = await receive()
    EVENTS.append(message["type"])
    try:
        await body(send, b"more")
    except Exception as error:
        EVENTS.append(type(error).__name__)


async def background(scope, receive, send, name):
    """Work on after the response."""
    await plain(send, b"accepted")
    await wait_at(name)
    mark(f"{name}.worked")


async def events(scope, receive, send, _):
    await plain(send, json.dumps(EVENTS).encode())


async def until_gone(scope, receive, send, name):
    """Wait for the client to leave, while it gets events."""
    await start(send, 200, (b"content-type", b"text/event-stream"))
    await body(send, b"data: 1\n\n", more=True)
    mark(f"{name}.entered")
    message = await receive()
    while message["type"] == "http.request":
        message = await receive()
    mark(f"{name}.{message['type']}")
    try:
        for _ in range(100):
            await body(send, b"data: 2\n\n" * 1000, more=True)
            await asyncio.sleep(0.01)
    except OSError as error:
        mark(f"{name}.{type(error).__name__}")


async def without_end(scope, receive, send, name):
    """Send until that fails."""
    await start(send)
    try:
        while True:
            await body(send, b"x" * 65536, more=True)
    except OSError as error:
        mark(f"{name}.{type(error).__name__}")


async def stubborn(scope, receive, send, name):
    """Never look whether the client is there."""
    mark(f"{name}.entered")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        mark(f"{name}.cancelled")
        raise


async def slow_stream(scope, receive, send, count):
    await start(send)
    for number in range(int(count)):
        await body(send, b"piece %d\n" % number, more=True)
        await asyncio.sleep(0.2)
    await body(send, b"")


async def silent_stream(scope, receive, send, name):
    await start(send)
    await body(send, b"begun", more=True)
    await stubborn(scope, receive, send, name)


async def timed_receive(scope, receive, send, name):
    """Cancelled calls of receive() lose nothing."""
    data = b""
    while True:
        try:
            message = await asyncio.wait_for(receive(), 0.02)
        except (asyncio.TimeoutError, TimeoutError):
            mark(f"{name}.cancelled-after-{len(data)}")
            continue
        data += message["body"]
        if not message["more_body"]:
            break
    await plain(send, data)


async def task_of_receive(scope, receive, send, _):
    message = await asyncio.create_task(receive())
    await asyncio.gather(send({"type": "http.response.start", "status": 200}))
    await body(send, message["body"])


async def context(scope, receive, send, name):
    before = REQUEST.get()
    REQUEST.set(name)
    first = asyncio.current_task()
    await asyncio.sleep(0.02)
    same = first is not None and first is asyncio.current_task() and first in asyncio.all_tasks()
    await plain(send, json.dumps({"before": before, "after": REQUEST.get(), "task": same}).encode())


async def loop(scope, receive, send, _):
    await plain(send, type(asyncio.get_running_loop()).__module__.encode())


VIEWS = {name: view for name, view in globals().items() if inspect.iscoroutinefunction(view)}


async def application(scope, receive, send):
    assert scope["type"] == "http", scope["type"]
    _, name, rest = (scope["path"] + "/").split("/", 2)
    view = VIEWS.get(name or "hello")
    if view is None:
        await plain(send, b"no such view", 404)
        return
    await view(scope, receive, send, rest.rstrip("/"))
