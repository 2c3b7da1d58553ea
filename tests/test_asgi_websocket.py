"""WebSockets, as the ASGI specification says it: scope, connect, accept, receive, send, close, disconnect."""

from __future__ import annotations

import json

import pytest
from harness import Serve, Server

pytest.importorskip("websockets")

from websockets.sync.client import ClientConnection, connect

ASGI = ("-k", "asgi")


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module("ws_lab:application", *ASGI)


def dial(server: Server, target: str, **options) -> ClientConnection:
    host, port = server.address
    return connect(f"ws://{host}:{port}{target}", open_timeout=10, close_timeout=10, **options)


@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize(
    "message",
    ["", "hello", "\N{SNOWMAN}" * 1000, "x" * 100_000, b"", bytes(range(256)), b"y" * 3_000_000],
    ids=["nothing", "text", "long text", "longer text", "no bytes", "bytes", "long bytes"],
)
def test_a_message_is_echoed(server: Server, message: str | bytes, compression: str | None) -> None:
    with dial(server, "/echo", compression=compression, max_size=None) as socket:
        for _ in range(2):
            socket.send(message)
            assert socket.recv(timeout=10) == message


def test_a_message_in_fragments_arrives_whole(server: Server) -> None:
    with dial(server, "/echo") as socket:
        socket.send(iter(["one, ", "t\xfc, ", "three" * 1000]))
        assert socket.recv(timeout=10) == "one, t\xfc, " + "three" * 1000


def test_the_scope_of_a_websocket(server: Server) -> None:
    host, port = server.address
    with dial(server, "/dump/a%2Fb?q=%20", subprotocols=["b", "a"], additional_headers={"X-Me": "1"}) as socket:
        client = socket.socket.getsockname()
        scope = json.loads(socket.recv(timeout=10))
    headers = scope.pop("headers")
    assert ["tuple", "b:x-me", "b:1"] in headers and ["tuple", "b:upgrade", "b:websocket"] in headers
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/dump/a/b",
        "raw_path": "b:/dump/a%2Fb",
        "query_string": "b:q=%20",
        "root_path": "",
        "client": ["tuple", client[0], client[1]],
        "server": ["tuple", host, port],
        "subprotocols": ["list", "b", "a"],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }
