"""Looking at `gunicorn.socket` leaves the connection to the server; reading from it, sending and detaching take it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Serve, Server, eventually, parity, processes
from harness.wire import head


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("sockets", kind=kind)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kind", ["AF_INET", "SOCK_STREAM", True, True]),
        ("number", [True, True, False]),
        ("times", [None, None, True, 2.5, 2.5, True, 0.0, False, None, True, "ValueError", "TypeError"]),
        ("options", [1, True, 8]),
        ("selected", [0, 0, 0]),
        ("peeked", ["BlockingIOError"] * 5 + ["TimeoutError", "BlockingIOError"]),
        ("attributes", [[True] * 6, [None] * 4, [False, True]]),
        ("copied", [True] * 4),
    ],
)
def test_looking_takes_nothing(server: Server, name: str, expected: list) -> None:
    with server.connect() as wire:
        for _ in range(2):
            assert wire.get(f"/look/{name}").json() == expected
            assert wire.get("/").text == "Hello, world!"


@parity("gthread")
def test_the_names_are_the_ends_of_the_connection(server: Server) -> None:
    with server.connect() as wire:
        ends = [list(wire.socket.getsockname()), list(wire.socket.getpeername())]
        assert wire.get("/look/names").json() == ends


def test_a_unix_socket_is_looked_at_likewise(serve: Serve, kind: str, tmp_path: Path) -> None:
    server = serve("sockets", kind=kind, bind=f"unix:{tmp_path}/socket")
    with server.connect() as wire:
        assert wire.get("/look/kind").json() == ["AF_UNIX", "SOCK_STREAM", True, True]
        assert wire.get("/look/names").json() == ["", f"{tmp_path}/socket"]
        assert wire.get("/look/options").json() == [1, True, 8]


@pytest.mark.parametrize("gate", ["peek", "blocking"])
def test_what_was_peeked_at_is_the_next_request(serve: Serve, kind: str, gate: str) -> None:
    server = serve("sockets", kind=kind)
    with server.connect() as wire:
        wire.request(f"/peek/{gate}")
        serve.gates.wait_entered(gate)
        wire.send(head("/next"))
        serve.gates.open(gate)
        assert wire.reply().json() == ["GET", "GET", "GET"]
        assert wire.reply().text == "Hello, world!"


def test_a_client_that_ended_its_side_is_seen(serve: Serve, kind: str) -> None:
    server = serve("sockets", kind=kind)
    with server.connect() as wire:
        wire.request("/peek/end").half_close()
        serve.gates.wait_entered("end")
        serve.gates.open("end")
        assert wire.reply().json() == ["", "", ""]


@pytest.mark.parametrize("query", ["", "?close"])
def test_a_look_leaves_no_descriptor(serve: Serve, kind: str, query: str) -> None:
    server = serve("sockets", kind=kind)
    [worker] = server.wait_workers(1)
    server.get("/")
    before = eventually(lambda: len(processes.open_files(worker)))
    with server.connect() as wire:
        reply = wire.get(f"/look_at_all{query}")
        assert (reply.status, reply.text) == (200, "seen")
        if query:
            wire.assert_closed()
    eventually(
        lambda: len(processes.open_files(worker)) <= before,
        what=lambda: f"{before} descriptors: {processes.open_files(worker)}",
    )


@pytest.mark.parametrize("name", ["sent", "written", "detached", "within", "looked_at_first", "copied_to_another"])
def test_reading_sending_and_detaching_take_it(server: Server, name: str) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/take/{name}")
        assert (reply.status, reply.text) == (299, "taken")
        wire.assert_closed()
    assert server.get("/").text == "Hello, world!"


@pytest.mark.parametrize("name", ["closed", "left", "forgotten", "filed"])
def test_a_child_that_was_forked_does_not_keep_the_client(serve: Serve, kind: str, name: str) -> None:
    """Nor does it end the connection, when it closes the socket that it has inherited."""
    server = serve("sockets", kind=kind)
    with server.connect() as wire:
        wire.request(f"/take_and_fork/{name}")
        serve.gates.wait_entered("child")
        serve.gates.open("parent")
        reply = wire.reply()
        assert (reply.status, reply.text) == (299, "taken")
        wire.assert_closed()
    serve.gates.open("child")


def test_what_the_client_sends_belongs_to_the_taker(serve: Serve, kind: str) -> None:
    server = serve("sockets", kind=kind)
    with server.connect() as wire:
        wire.request("/take/received")
        serve.gates.wait_marked("receiving")
        wire.send(b"mine")
        reply = wire.reply()
        assert (reply.status, reply.text) == (299, "mine!")
        wire.assert_closed()
