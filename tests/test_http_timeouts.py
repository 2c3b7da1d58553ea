"""A client that stops in the middle is told so with 408, and one that takes nothing is left."""

from __future__ import annotations

import time

import pytest
from harness import Serve, Server, Wire, eventually, processes
from harness.wire import Closed, chunk, head

#: One second is the setting; the rest is for a busy machine.
SOON_S = 5.0


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    times = ("--header-timeout", "1", "--body-timeout", "1", "--send-timeout", "1")
    return serve_module("responses", *times, kind=kind)


def times_out(wire: Wire, beginning: bytes) -> float:
    """The seconds from these bytes until the server answers 408 and closes."""
    begun = time.monotonic()
    reply = wire.send(beginning).patience(SOON_S).reply()
    assert reply.status == 408
    assert reply.header("Connection") == "close"
    wire.assert_closed()
    return time.monotonic() - begun


def test_half_a_head_is_answered_408(server: Server) -> None:
    with server.connect() as wire:
        assert times_out(wire, b"GET / HTTP/1.1\r\nHost:") > 0.7


def test_a_dripping_head_is_answered_408(server: Server) -> None:
    """The limit is for the whole head: a byte now and then renews nothing."""
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nX-Drip: ").patience(0.1)
        end = time.monotonic() + SOON_S
        while time.monotonic() < end:
            try:
                wire.send(b"a")
                reply = wire.reply()
            except AssertionError as error:
                if isinstance(error, Closed):
                    raise
                continue
            assert reply.status == 408
            return
        raise AssertionError("a head may drip for ever")


def test_half_of_a_second_head_is_answered_408(server: Server) -> None:
    with server.connect() as wire:
        wire.get()
        times_out(wire, b"GET / HT")


@pytest.mark.parametrize(
    "beginning",
    [
        head("/read_after_write", method="POST", body=b"0123456789") + b"01",
        head("/read_after_write", method="POST", body=b"0123456789"),
        head("/read_after_write", method="POST", fields=[("Transfer-Encoding", "chunked")]) + chunk(b"01"),
    ],
)
def test_half_a_body_is_answered_408(server: Server, beginning: bytes) -> None:
    with server.connect() as wire:
        assert times_out(wire, beginning) > 0.7


def test_a_slow_body_may_take_longer_than_its_timeout(server: Server) -> None:
    """The limit is for silence: who goes on sending is waited for."""
    with server.connect() as wire:
        wire.send(head("/read_after_write", method="POST", body=b"x" * 12)).patience(0.2)
        for _ in range(12):
            wire.send(b"x")
            # No answer can come before the last byte, so this is a wait of the client's own.
            with pytest.raises((AssertionError, TimeoutError)):
                wire.exactly(1_000_000)
        # The last wait has collected the answer.
        assert wire.buffer.endswith(b"xxxxxxxxxxxx") or wire.reply().status == 200


def test_a_connection_without_a_byte_is_closed_in_silence(serve: Serve, kind: str) -> None:
    server = serve("lab", "--header-timeout", "1", "--keep-alive", "1", kind=kind)
    with server.connect() as wire:
        wire.patience(SOON_S)
        received = wire.rest()
        assert received == b"" or received.startswith(b"HTTP/1.1 408 ")


def test_what_came_in_time_counts_also_for_a_worker_that_comes_too_late(serve: Serve, kind: str) -> None:
    """A process that shares a processor may have to wait for it."""
    times = ("--header-timeout", "2", "--body-timeout", "2", "--keep-alive", "2")
    server = serve("lab", *times, kind=kind)
    [worker] = server.wait_workers(1)
    with server.connect() as head_only, server.connect() as body_missing, server.connect() as kept:
        head_only.send(b"GET /pid HTTP/1.1\r\nHost:")
        body_missing.send(head("/echo", method="POST", body=b"ab") + b"a")
        kept.get()
        with processes.stopped(worker):
            head_only.send(b" x\r\n\r\n")
            body_missing.send(b"b")
            kept.request()
            begun = time.monotonic()
            eventually(lambda: time.monotonic() - begun > 2.2)
        assert [wire.reply().status for wire in (head_only, body_missing, kept)] == [200] * 3


def test_a_client_that_takes_nothing_is_left(serve_module: Serve, server: Server) -> None:
    mark = serve_module.gates.folder / "closed-endless"
    mark.unlink(missing_ok=True)
    with server.connect(receive_buffer=4096) as wire:
        wire.request("/closing_endless")
        eventually(mark.exists, within=SOON_S + 5, what="close() of the response")
        with pytest.raises((Closed, ConnectionResetError, AssertionError)):
            wire.patience(SOON_S).exactly(1 << 40)
    assert server.get().text == "Hello, world!"


def test_a_slow_reader_is_served_to_the_end(serve: Serve, kind: str) -> None:
    """The limit is for taking nothing at all: a reader who takes a little at a time is fed."""
    server = serve("lab", "--send-timeout", "1", kind=kind)
    size = 12_000_000
    with server.connect(receive_buffer=4096) as wire:
        wire.request(f"/block/{size}")
        wire.until(b"\r\n\r\n")
        taken, begun = len(wire.buffer), time.monotonic()
        wire.buffer = b""
        while taken < size:
            slow = time.monotonic() - begun < 3
            data = wire.socket.recv(1 << (16 if slow else 20))
            assert data, f"cut after {taken} bytes"
            taken += len(data)
            if slow:
                pause_of_a_slow_reader()
        assert taken == size


def pause_of_a_slow_reader() -> None:
    """The client's own slowness, not a wait for the server."""
    time.sleep(0.1)
