"""What an application asks of a WebSocket and cannot have: as much of it as can be, and no 1011 for it."""

from __future__ import annotations

from textwrap import dedent

import pytest
from harness import Serve, Server
from harness.frames import CLOSE, TEXT, handshake, read_frame, upgrade

APPLICATION = """
    async def application(scope, receive, send):
        if scope["type"] != "websocket":
            return
        await receive()
        _, kind, value = scope["path"].split("/", 2)
        if kind == "protocol":
            await send({"type": "websocket.accept", "subprotocol": value})
            return await send({"type": "websocket.send", "text": "accepted"})
        await send({"type": "websocket.accept"})
        if kind == "fails":
            raise RuntimeError("an application that fails")
        code, _, length = value.partition("/")
        close = {"type": "websocket.close", "code": int(code), "reason": "\\u00e9" * int(length or 0)}
        if kind == "caught":
            try:
                await send(close)
            except (ValueError, TypeError):
                return
        await send(close)
"""


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(serve_module: Serve, request: pytest.FixtureRequest) -> Server:
    (serve_module.folder / "closing.py").write_text(dedent(APPLICATION))
    server = serve_module("closing", "-k", "asgi", "--asgi-loop", request.param, cwd=serve_module.folder)
    return server


@pytest.mark.parametrize("offered", [[], [("Sec-WebSocket-Protocol", "other, another")]])
def test_a_sub_protocol_that_was_not_offered_is_sent(server: Server, offered: list[tuple[str, str]]) -> None:
    with server.connect() as wire:
        reply = wire.send(handshake("/protocol/chat", *offered)).interim()
        assert (reply.status, reply.header("sec-websocket-protocol")) == (101, "chat")
        frame = read_frame(wire)
        assert (frame.opcode, frame.payload) == (TEXT, b"accepted")
    assert "Error handling" not in server.log


@pytest.mark.parametrize("way", ["raised", "caught"])
@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535, 70000, -1])
def test_a_code_that_cannot_be_sent_closes_without_one(server: Server, way: str, code: int) -> None:
    with server.connect() as wire:
        upgrade(wire, f"/{way}/{code}")
        frame = read_frame(wire)
        assert (frame.opcode, frame.payload) == (CLOSE, b"")


@pytest.mark.parametrize("way", ["raised", "caught"])
def test_a_reason_that_is_too_long_is_cut(server: Server, way: str) -> None:
    for length, sent in [(61, 61), (62, 61), (1000, 61)]:
        with server.connect() as wire:
            upgrade(wire, f"/{way}/4000/{length}")
            assert read_frame(wire).close == (4000, "\xe9" * sent)


def test_an_application_that_fails_for_another_reason_is_1011(server: Server) -> None:
    with server.connect() as wire:
        upgrade(wire, "/fails/x")
        assert read_frame(wire).close == (1011, "")
