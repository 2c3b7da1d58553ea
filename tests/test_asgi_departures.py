"""A client that has left is no error, wherever its departure ends up in exceptions; errors beside it are told."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest
from harness import Serve, Server, eventually
from harness.frames import close_frame, upgrade

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")

APPLICATION = """
    import asyncio, os
    from pathlib import Path
    from starlette.requests import ClientDisconnect
    from starlette.websockets import WebSocketDisconnect

    GATES = Path(os.environ["LAB_GATES"])

    async def until_gone(receive, kind):
        while (await receive())["type"] != kind:
            pass

    async def departure(receive, send):
        # What send() raises once the client has left.
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0.005)
        except OSError as error:
            return error

    async def plain(receive, send):
        raise await departure(receive, send)

    async def group(receive, send):
        raise ExceptionGroup("tasks", [await departure(receive, send)])

    async def nested(receive, send):
        gone = await departure(receive, send)
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [gone, ExceptionGroup("core", [gone])]), gone])

    async def base_group(receive, send):
        raise BaseExceptionGroup("tasks", [await departure(receive, send), asyncio.CancelledError()])

    async def cause(receive, send):
        raise RuntimeError("the stream ended") from await departure(receive, send)

    async def cause_of_a_cause(receive, send):
        gone = await departure(receive, send)
        try:
            raise RuntimeError("the stream ended") from gone
        except RuntimeError as error:
            ended = error
        raise LookupError("no stream") from ended

    async def cause_is_a_group(receive, send):
        raise RuntimeError("the tasks ended") from ExceptionGroup("tasks", [await departure(receive, send)])

    async def cause_in_a_group(receive, send):
        try:
            raise RuntimeError("the stream ended") from await departure(receive, send)
        except RuntimeError as error:
            ended = error
        raise ExceptionGroup("tasks", [ended])

    async def task_group(receive, send):
        await send({"type": "http.response.start", "status": 200})
        async def tick():
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0.005)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tick())
            tasks.create_task(tick())

    async def own(receive, send):
        await departure(receive, send)
        raise ValueError("of its own")

    async def own_os_error(receive, send):
        await departure(receive, send)
        open("/no/such/file/of its own")

    async def own_in_a_group(receive, send):
        raise ExceptionGroup("tasks", [await departure(receive, send), ValueError("of its own")])

    async def own_os_error_in_a_group(receive, send):
        gone = await departure(receive, send)
        raise ExceptionGroup("tasks", [gone, ConnectionRefusedError("of its own")])

    async def own_deep_in_a_group(receive, send):
        gone = await departure(receive, send)
        raise ExceptionGroup("outer", [gone, ExceptionGroup("inner", [gone, KeyError("of its own")])])

    async def own_behind_a_cause(receive, send):
        gone = await departure(receive, send)
        raise RuntimeError("both") from ExceptionGroup("tasks", [gone, ValueError("of its own")])

    async def broken_body(receive, send):
        while (message := await receive())["type"] == "http.request":
            pass
        raise ExceptionGroup("tasks", [ClientDisconnect(), ExceptionGroup("more", [ClientDisconnect()])])

    async def broken_body_own(receive, send):
        while (message := await receive())["type"] == "http.request":
            pass
        raise ExceptionGroup("tasks", [ClientDisconnect(), ValueError("of its own")])

    async def ws_disconnect(receive, send):
        await until_gone(receive, "websocket.disconnect")
        raise WebSocketDisconnect(1001)

    async def ws_group(receive, send):
        await until_gone(receive, "websocket.disconnect")
        raise ExceptionGroup("tasks", [WebSocketDisconnect(1001), ExceptionGroup("more", [WebSocketDisconnect(1001)])])

    async def ws_cause(receive, send):
        await until_gone(receive, "websocket.disconnect")
        raise RuntimeError("the room is empty") from WebSocketDisconnect(1001)

    async def ws_send_in_a_group(receive, send):
        await until_gone(receive, "websocket.disconnect")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send({"type": "websocket.send", "text": "a"}))
            tasks.create_task(send({"type": "websocket.send", "text": "b"}))

    async def ws_own_in_a_group(receive, send):
        await until_gone(receive, "websocket.disconnect")
        raise ExceptionGroup("tasks", [WebSocketDisconnect(1001), ValueError("of its own")])

    async def application(scope, receive, send):
        view = scope["path"][1:]
        if scope["type"] == "lifespan":
            return
        if not view:
            await send({"type": "http.response.start", "status": 200})
            return await send({"type": "http.response.body", "body": b"here"})
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
        try:
            await globals()[view](receive, send)
        finally:
            (GATES / f"{view}.over").touch()
"""


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    (serve_module.folder / "departing.py").write_text(dedent(APPLICATION))
    return serve_module("departing", "-k", "asgi", "--log-level", "debug", cwd=serve_module.folder)


def leave(serve: Serve, server: Server, view: str) -> str:
    """Let a client of `view` leave, and return what the log says of it."""
    with server.connect() as wire:
        if view.startswith("ws_"):
            upgrade(wire, f"/{view}")
            wire.send(close_frame(1001))
        elif view.startswith("broken"):
            wire.send(f"POST /{view} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin".encode())
        else:
            wire.request(f"/{view}").until(b"\r\n\r\n")
    eventually(lambda: serve.gates.marked(f"{view}.over"))

    def told() -> str:
        about = [line for line in server.log.splitlines() if line.endswith(f"/{view}") or f"/{view} " in line]
        return "\n".join(about)

    return eventually(lambda: next((found for found in [told()] if "handling" in found or "is gone" in found), None))


DEPARTURES = [
    *("plain", "group", "nested", "base_group", "cause", "cause_of_a_cause", "cause_is_a_group", "cause_in_a_group"),
    *("task_group", "broken_body", "ws_disconnect", "ws_group", "ws_cause", "ws_send_in_a_group"),
]


@pytest.mark.parametrize("view", DEPARTURES)
def test_a_departure_is_no_error(serve_module: Serve, server: Server, view: str) -> None:
    told = leave(serve_module, server, view)
    assert "[DEBUG]" in told and "is gone" in told
    assert "Error handling" not in told


OWN = [
    *("own", "own_os_error", "own_in_a_group", "own_os_error_in_a_group", "own_deep_in_a_group", "own_behind_a_cause"),
    *("broken_body_own", "ws_own_in_a_group"),
]


@pytest.mark.parametrize("view", OWN)
def test_an_error_of_the_application_s_own_is_told_beside_a_departure(
    serve_module: Serve, server: Server, view: str
) -> None:
    assert f"[ERROR] Error handling request /{view}" in leave(serve_module, server, view)
    assert "of its own" in server.log


def test_a_client_that_is_there_gets_its_answer_when_another_has_left(serve: Serve, write) -> None:
    """A departure is an error where the application lets another client suffer from it."""
    write(
        "others.py",
        """
        import asyncio
        SENDS = []
        async def application(scope, receive, send):
            if scope["type"] == "lifespan":
                return
            if scope["path"] == "/leave":
                await send({"type": "http.response.start", "status": 200})
                SENDS.append(send)
                return await asyncio.sleep(3600)
            while scope["path"] == "/suffer":
                await SENDS[0]({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0.005)
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"%d" % len(SENDS)})
        """,
    )
    server = serve("others", "-k", "asgi", cwd=serve.folder)
    with server.connect() as wire:
        wire.request("/leave")
        eventually(lambda: server.get("/").text == "1")
    with server.connect() as wire:
        assert wire.get("/suffer").status == 500
    server.wait_log("Error handling request /suffer")
