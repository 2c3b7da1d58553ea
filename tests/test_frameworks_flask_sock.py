"""Flask-Sock speaks WebSocket over `gunicorn.socket`, in threaded workers."""

from __future__ import annotations

import pytest
from harness import Serve, Server

pytest.importorskip("websockets", reason="it needs Python 3.11")

from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module("flask_sock_app:app", kind="gthread")


@pytest.mark.parametrize("message", ["short", "ö" * 100_000, b"x" * 200_000])
def test_messages_come_back(server: Server, message: str | bytes) -> None:
    with connect(server.url.replace("http", "ws") + "/echo") as socket:
        for _ in range(3):
            socket.send(message)
            assert socket.recv(timeout=10) == message
        socket.send("bye")
        with pytest.raises(ConnectionClosedOK, match="bye"):
            socket.recv(timeout=10)


def test_the_worker_goes_on(server: Server) -> None:
    for _ in range(6):
        with connect(server.url.replace("http", "ws") + "/echo") as socket:
            socket.send("hello")
            assert socket.recv(timeout=10) == "hello"
    assert server.get("/").text == "Hello, world!"
    assert "Traceback" not in server.log
