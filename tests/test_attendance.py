"""While a view keeps its thread, the other connections of the worker are attended to.

One worker with one thread, whose thread is inside a view, asleep or spinning: timeouts pass, uploads
are taken, slow readers are fed, requests that are too large are refused.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from harness import Serve, Server, Wire
from harness.wire import head


@pytest.fixture(params=["gate", "spin"])
def view(request: pytest.FixtureRequest) -> str:
    """A view that waits with the GIL free, and one that burns the CPU in Python."""
    return request.param


@pytest.fixture
def server(serve: Serve) -> Server:
    times = ("--header-timeout", "1", "--body-timeout", "1", "--keep-alive", "3")
    return serve("lab", *times, "--limit-request-body", "20000000", kind="sync")


@pytest.fixture
def other(server: Server) -> Iterator[Wire]:
    """A connection that the worker has accepted; it accepts none while its thread is taken."""
    with server.connect() as wire:
        assert wire.get().text == "Hello, world!"
        yield wire


@pytest.fixture
def busy(serve: Serve, server: Server, other: Wire, view: str) -> Iterator[Wire]:
    """A connection whose request is inside its view until the end of the test."""
    with server.connect() as wire:
        wire.request(f"/{view}/busy")
        serve.gates.wait_entered("busy")
        yield wire
        serve.gates.open("busy")
        assert wire.reply().status == 200


def test_half_a_head_times_out(other: Wire, busy: Wire) -> None:
    assert other.send(b"GET / HT").patience(5).reply().status == 408


def test_half_a_body_times_out(other: Wire, busy: Wire) -> None:
    other.send(head("/echo", method="POST", body=b"abc") + b"a")
    assert other.patience(5).reply().status == 408


def test_a_kept_connection_times_out(other: Wire, busy: Wire) -> None:
    other.assert_closed(within=8)


def test_a_malformed_request_is_refused(other: Wire, busy: Wire) -> None:
    assert other.send(b"nonsense\r\n\r\n").patience(5).reply().status == 400


def test_an_upload_is_taken(serve: Serve, other: Wire, busy: Wire) -> None:
    """More than the kernel holds: sending it comes to an end only if the server takes it."""
    body = b"x" * 16_000_000
    other.request("/length", method="POST", body=body)
    serve.gates.open("busy")
    assert other.reply().text == str(len(body))


def test_an_upload_that_is_too_large_is_refused(other: Wire, busy: Wire) -> None:
    other.send(head("/length", method="POST", body=b"x" * 20_000_001))
    assert other.patience(5).reply().status == 413


def test_an_upload_that_asks_first_is_let_in(serve: Serve, other: Wire, busy: Wire) -> None:
    other.send(head("/echo", method="POST", fields=[("Expect", "100-continue")], body=b"abc"))
    assert other.patience(5).interim().status == 100
    other.send(b"abc")
    serve.gates.open("busy")
    assert other.patience(10).reply().text == "abc"


def test_a_slow_reader_is_fed(serve: Serve, server: Server, view: str) -> None:
    """What an earlier request has left to send goes out during a later one."""
    size = 16_000_000
    with server.connect(receive_buffer=65536) as reader, server.connect() as wire:
        reader.request(f"/block/{size}")
        reader.until(b"\r\n\r\n")
        wire.request(f"/{view}/busy")
        serve.gates.wait_entered("busy")
        assert reader.exactly(size) == b"x" * size
        serve.gates.open("busy")
        assert wire.reply().status == 200


def test_a_view_that_streams_needs_no_reactor(serve: Serve) -> None:
    """With two threads: one spins, the other's pieces still go out one by one."""
    server = serve("responses", "-k", "gthread", "--threads", "2")
    with server.connect() as stream:
        stream.request("/stepwise")
        for number in range(3):
            stream.until(b"piece %d\n" % number)
            serve.gates.open(f"step-{number + 1}")


def test_a_waiting_request_is_answered_when_the_view_ends(serve: Serve, server: Server, busy: Wire) -> None:
    with server.connect() as wire:
        wire.request("/pid")
        serve.gates.open("busy")
        assert wire.reply().status == 200


def test_several_threads_serve_beside_each_other(serve: Serve, view: str) -> None:
    server = serve("lab", kind="gthread")
    with server.connect() as first, server.connect() as second, server.connect() as third:
        for name, wire in (("a", first), ("b", second), ("c", third)):
            wire.request(f"/{view}/{name}")
            serve.gates.wait_entered(name)
        assert server.get().text == "Hello, world!"
        for name, wire in (("a", first), ("b", second), ("c", third)):
            serve.gates.open(name)
            assert wire.reply().status == 200


def test_an_event_loop_that_is_blocked_holds_up_no_io(serve: Serve) -> None:
    server = serve("asgi_lab", "-k", "asgi", "--header-timeout", "2")
    content = b"0123456789" * 5_000_000
    (serve.gates.folder / "file").write_bytes(content)
    with server.connect() as download, server.connect() as wrong, server.connect() as slow, server.connect() as kept:
        for wire in (wrong, slow, kept):
            assert wire.get("/").status == 200
        download.request("/pathsend/file").socket.recv(1, socket.MSG_PEEK)
        with server.connect() as blocking:
            blocking.request("/block/door")
            serve.gates.wait_entered("door")
            assert download.reply().body == content
            assert wrong.send(b"GET / HTTP/1.1\r\n\r\n").reply().status == 400
            assert slow.send(b"GET / HT").reply().status == 408
            kept.request("/")
            serve.gates.open("door")
            assert blocking.reply().text == "door"
        assert kept.reply().text == "Hello, world!"
        assert server.get("/").text == "Hello, world!"
    assert server.stop() == 0
