"""What ASGI applications send leaves when its turn of the event loop is over, with or without a body after a head."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from textwrap import dedent

import pytest
from harness import Serve, Server, Wire, eventually
from harness.frames import handshake

APPLICATION = """
    import asyncio, os, time
    from pathlib import Path

    GATES = Path(os.environ["LAB_GATES"])

    async def wait_at(name):
        (GATES / f"{name}.entered").touch()
        while not (GATES / f"{name}.open").exists():
            await asyncio.sleep(0.005)

    HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}

    async def own(scope, receive, send, name):
        await send(HEAD)
        await wait_at(name)
        await send({"type": "http.response.body", "body": b"late"})

    async def task(scope, receive, send, name):
        # As frameworks do: the response is another task's.
        async def respond():
            await send(HEAD)
            await wait_at(name)
            await send({"type": "http.response.body", "body": b"late"})
        await asyncio.create_task(respond())

    async def sending_task(scope, receive, send, name):
        await asyncio.create_task(send(HEAD))
        await wait_at(name)
        await asyncio.create_task(send({"type": "http.response.body", "body": b"late"}))

    async def after_a_wait(scope, receive, send, name):
        await asyncio.sleep(0.01)
        await own(scope, receive, send, name)

    async def with_length(scope, receive, send, name):
        await send({**HEAD, "headers": [(b"content-length", b"4")]})
        await wait_at(name)
        await send({"type": "http.response.body", "body": b"la", "more_body": True})
        await send({"type": "http.response.body", "body": b"te"})

    async def file(scope, receive, send, name):
        await send(HEAD)
        await wait_at(name)
        await send({"type": "http.response.pathsend", "path": str(GATES / "late")})

    async def empty(scope, receive, send, name):
        await send(HEAD)
        await wait_at(name)
        await send({"type": "http.response.body"})

    async def fails(scope, receive, send, name):
        await send(HEAD)
        await wait_at(name)
        raise RuntimeError("no body")

    async def at_once(scope, receive, send, name):
        await send(HEAD)
        await send({"type": "http.response.body", "body": b"late"})

    async def fails_at_once(scope, receive, send, name):
        await send(HEAD)
        raise RuntimeError("no body")

    async def block(scope, receive, send, name):
        # Nothing else of the loop runs meanwhile.
        (GATES / f"{name}.entered").touch()
        while not (GATES / f"{name}.open").exists():
            time.sleep(0.005)
        await at_once(scope, receive, send, name)

    async def streamed(scope, receive, send, name):
        await send(HEAD)
        for piece in (b"l", b"a", b"t", b"e"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    async def long(scope, receive, send, name):
        await send(HEAD)
        await send({"type": "http.response.body", "body": b"long" * 100_000})

    async def denial(scope, receive, send, name):
        await receive()
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        await wait_at(name)
        await send({"type": "websocket.http.response.body", "body": b"late"})

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        view, _, name = scope["path"][1:].partition("/")
        await globals()[view or "at_once"](scope, receive, send, name)
"""


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(serve_module: Serve, request: pytest.FixtureRequest) -> Server:
    (serve_module.folder / "turns.py").write_text(dedent(APPLICATION))
    loop = ["--asgi-loop", request.param]
    return serve_module("turns", "-k", "asgi", "--asgi-pathsend", *loop, cwd=serve_module.folder)


VIEWS = ["own", "task", "sending_task", "after_a_wait", "with_length", "file"]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_head_goes_out_before_a_body_that_is_long_in_coming(
    serve_module: Serve, server: Server, view: str, version: str
) -> None:
    gates = serve_module.gates
    (gates.folder / "late").write_bytes(b"late")
    name = f"{view}-{version}-{server.pid}"
    with server.connect() as wire:
        wire.send(f"GET /{view}/{name} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        head = wire.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        gates.open(name)
        wire.buffer = head + wire.buffer
        assert wire.reply().text == "late"


def test_so_do_heads_of_responses_without_a_body(serve_module: Serve, server: Server) -> None:
    name = f"empty-{server.pid}"
    with server.connect() as wire:
        head = wire.request(f"/empty/{name}").until(b"\r\n\r\n")
        serve_module.gates.open(name)
        wire.buffer = head + wire.buffer
        assert wire.reply().text == ""
        name += "-head"
        wire.request(f"/own/{name}", method="HEAD")
        head = wire.until(b"\r\n\r\n")
        serve_module.gates.open(name)
        wire.buffer = head + wire.buffer
        assert wire.reply(to="HEAD").status == 200
        assert wire.get("/").text == "late"


def test_a_denial_s_head_goes_out_before_its_body(serve_module: Serve, server: Server) -> None:
    name = f"denial-{server.pid}"
    with server.connect() as wire:
        head = wire.send(handshake(f"/denial/{name}")).until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 403 ")
        serve_module.gates.open(name)
        wire.buffer = head + wire.buffer
        assert wire.reply().text == "late"


def test_an_error_behind_a_head_that_is_out_cuts_the_response(serve_module: Serve, server: Server) -> None:
    name = f"fails-{server.pid}"
    with server.connect() as wire:
        head = wire.request(f"/fails/{name}").until(b"\r\n\r\n")
        serve_module.gates.open(name)
        wire.buffer = head + wire.buffer
        assert not wire.reply().complete


def test_a_body_in_the_same_turn_goes_out_with_its_head(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/at_once")
        assert (reply.text, reply.header("content-length")) == ("late", "4")
        assert wire.get("/fails_at_once").status == 500


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Starlette of that version needs Python 3.11")
@pytest.mark.parametrize("middleware", ["", "BaseHTTPMiddleware"])
def test_an_event_stream_begins_before_its_first_event(serve: Serve, write, middleware: str) -> None:
    write(
        "events.py",
        f"""
        import asyncio
        from starlette.applications import Starlette
        from starlette.middleware.base import BaseHTTPMiddleware
        from starlette.responses import PlainTextResponse, StreamingResponse
        from starlette.routing import Route
        STREAMS = []

        async def events():
            STREAMS.append(queue := asyncio.Queue())
            while True:
                yield f"data: {{await queue.get()}}\\n\\n"

        async def stream(request):
            return StreamingResponse(events(), media_type="text/event-stream")

        async def tell(request):
            for queue in STREAMS:
                queue.put_nowait("news")
            return PlainTextResponse(str(len(STREAMS)))

        async def pass_on(request, call_next):
            return await call_next(request)

        app = Starlette(routes=[Route("/", tell), Route("/stream", stream)])
        if {middleware!r}:
            app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
        """,
    )
    server = serve("events:app", cwd=serve.folder)
    with server.connect() as wire:
        assert b"text/event-stream" in wire.request("/stream").until(b"\r\n\r\n")
        eventually(lambda: server.get("/").text == "1")
        assert wire.until(b"data: news\n\n")


def in_one_turn(serve: Serve, server: Server, stack: ExitStack, targets: list[str]) -> list[Wire]:
    """Send requests that the event loop finds all at once, because the application has blocked it before."""
    door = f"door-{server.pid}-{len(serve.gates.marks())}"
    wires = [stack.enter_context(server.connect()) for _ in targets]
    for wire in wires:
        assert wire.get("/").text == "late"
    blocking = stack.enter_context(server.connect())
    blocking.request(f"/block/{door}")
    serve.gates.wait_entered(door)
    for wire, target in zip(wires, targets, strict=True):
        wire.request(target)
    serve.gates.open(door)
    assert blocking.reply().text == "late"
    return wires


def test_an_application_that_blocks_keeps_no_answer_of_its_turn(serve_module: Serve, server: Server) -> None:
    gate = f"middle-{server.pid}"
    before = ["/at_once", "/streamed", "/long"] * 4
    with ExitStack() as stack:
        wires = in_one_turn(serve_module, server, stack, [*before, f"/block/{gate}", "/at_once"])
        serve_module.gates.wait_entered(gate)
        for wire, target in zip(wires, before, strict=False):
            assert wire.reply().text == ("long" * 100_000 if target == "/long" else "late")
        serve_module.gates.open(gate)
        for wire in wires[-2:]:
            assert wire.reply().text == "late"


def test_every_answer_of_a_turn_arrives_whole(serve_module: Serve, server: Server) -> None:
    targets = ["/at_once", "/streamed", "/long", "/fails_at_once", "/at_once"] * 10
    with ExitStack() as stack:
        wires = in_one_turn(serve_module, server, stack, targets)
        for wire, target in zip(wires, targets, strict=True):
            reply = wire.reply()
            assert reply.complete and reply.status == (500 if target == "/fails_at_once" else 200)
            if target != "/fails_at_once":
                assert wire.get("/streamed").text == "late"
