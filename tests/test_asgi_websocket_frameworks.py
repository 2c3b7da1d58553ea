"""WebSockets of FastAPI, Starlette, Django Channels, Quart and Litestar, as their users write them."""

from __future__ import annotations

import json
from signal import SIGTERM

import pytest
from harness import Serve, Server, eventually

pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect


@pytest.fixture(params=["asyncio", "uvloop"])
def options(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The event loops."""
    pytest.importorskip(request.param)
    return ("-k", "asgi", "--asgi-loop", request.param)


def dial(server: Server, target: str, **options) -> ClientConnection:
    host, port = server.address
    return connect(f"ws://{host}:{port}{target}", open_timeout=10, close_timeout=10, **options)


def refusal(server: Server, target: str, **options) -> tuple[int, bytes]:
    with pytest.raises(InvalidStatus) as caught, dial(server, target, **options):
        pass
    return caught.value.response.status_code, caught.value.response.body


def ask(socket: ClientConnection, message: str | bytes) -> str | bytes:
    socket.send(message)
    return socket.recv(timeout=10)


def ask_json(socket: ClientConnection, message: object) -> object:
    return json.loads(ask(socket, json.dumps(message)))


def end_of(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(timeout=10)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_starlette(serve: Serve, options: tuple[str, ...]) -> None:
    server = serve("starlette_app:app", *options)
    with dial(server, "/talk/lobby", subprotocols=["other", "chat"]) as socket:
        assert (socket.subprotocol, socket.response.headers["X-Pool"]) == ("chat", "open")
        assert ask(socket, "h\xe9llo") == "lobby: h\xe9llo"
        socket.send("bytes")
        assert ask(socket, bytes(100_000)) == bytes(100_000)
        socket.close(4000, "bye")
    serve.gates.wait_marked("lobby.4000.bye")
    assert refusal(server, "/deny") == (404, b'{"error":"no room"}')
    assert refusal(server, "/nowhere")[0] == 403
    with dial(server, "/talk/end", subprotocols=["chat"]) as socket:
        server.signal(SIGTERM)
        assert end_of(socket) == (1001, "going away")
        serve.gates.wait_marked("end.1001.going away")
    assert server.wait_exit() == 0
    assert serve.gates.marked("pool.closed")
    assert "Traceback" not in server.log


def test_fastapi(serve: Serve, options: tuple[str, ...]) -> None:
    server = serve("fastapi_app:app", *options, probe="/thread")
    assert refusal(server, "/rooms/one")[0] == 403
    with dial(server, "/rooms/one?token=secret") as one:
        assert ask_json(one, "alone") == {"room": "one", "members": 1, "said": "alone"}
        with dial(server, "/rooms/one?token=secret") as two:
            assert ask_json(two, ["to", "all"]) == {"room": "one", "members": 2, "said": ["to", "all"]}
            assert json.loads(one.recv(timeout=10))["members"] == 2
        eventually(lambda: ask_json(one, "again")["members"] == 1)
    assert "Traceback" not in server.log


def test_channels(serve: Serve, options: tuple[str, ...]) -> None:
    pytest.importorskip("channels")
    server = serve("channels_app", *options)
    here = {"origin": server.url}
    assert refusal(server, "/rooms/closed", **here)[0] == 403
    assert refusal(server, "/rooms/open", origin="http://elsewhere.example")[0] == 403
    with dial(server, "/rooms/open", **here) as one, dial(server, "/rooms/open", **here) as two:
        assert ask_json(one, {"a": 1}) == {"said": {"a": 1}}
        assert json.loads(two.recv(timeout=10)) == {"said": {"a": 1}}
        two.close(4002)
    with dial(server, "/shout", **here) as socket:
        assert ask(socket, "quiet") == "QUIET"
        assert ask(socket, b"abc") == b"cba"
        socket.send("bye")
        assert end_of(socket)[0] == 4001
    eventually(lambda: "4002" in server.get("/").text and "1000" in server.get("/").text)
    assert server.stop() == 0
    assert "non-async-marked" not in server.log, "a synchronous consumer takes send() for a coroutine function"


def test_quart(serve: Serve, options: tuple[str, ...]) -> None:
    pytest.importorskip("quart")
    server = serve("quart_app:app", *options)
    assert refusal(server, "/talk?refuse")[0] == 401
    with dial(server, "/talk", subprotocols=["chat"]) as socket:
        assert (socket.subprotocol, socket.response.headers["X-Talk"]) == ("chat", "yes")
        assert ask(socket, "abc") == "cba"
        assert ask(socket, b"abc") == b"cba"
        socket.send("bye")
        assert end_of(socket) == (4001, "so long")
    assert server.stop() == 0


def test_litestar(serve: Serve, options: tuple[str, ...]) -> None:
    pytest.importorskip("litestar")
    server = serve("litestar_app:app", *options, probe="/items/1")
    assert refusal(server, "/talk?refuse")[0] in (401, 403)
    with dial(server, "/listen") as socket:
        assert ask_json(socket, {"a": [1]}) == {"heard": {"a": [1]}}
    with dial(server, "/talk", subprotocols=["chat"]) as socket:
        assert socket.subprotocol == "chat"
        assert ask(socket, b"abc") == b"cba"
        socket.send(b"bye")
        assert end_of(socket) == (4001, "so long")
    assert server.stop() == 0
