"""What ASGI applications send leaves when its turn of the event loop is over, with or without a body after a head."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest
from harness import Serve, Server, eventually
from harness.frames import handshake

APPLICATION = """
    import asyncio, os
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
