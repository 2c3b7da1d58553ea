"""A graceful stop: what was begun is finished, what waits is served, nothing is left behind."""

from __future__ import annotations

import os
import re
import time
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest
from harness import APPS, Load, Serve, Wire, better, eventually, parity
from harness.wire import head


def test_a_request_in_flight_is_finished(serve: Serve, kind: str) -> None:
    server = serve("lab", "--log-level", "debug", kind=kind)
    with server.connect() as wire:
        wire.request("/gate/last")
        serve.gates.wait_entered("last")
        server.signal(SIGTERM)
        server.wait_log("Worker was told to finish")
        serve.gates.open("last")
        reply = wire.reply()
        assert reply.status == 200 and reply.header("Connection") == "close"
    assert server.wait_exit() == 0


@parity
def test_a_response_in_the_middle_is_finished(serve: Serve, kind: str) -> None:
    server = serve("responses", kind=kind)
    with server.connect() as wire:
        wire.request("/stepwise")
        wire.until(b"piece 0\n")
        server.signal(SIGTERM)
        server.wait_log("Handling signal: term")
        for number in (1, 2):
            serve.gates.open(f"step-{number}")
        assert wire.until(b"0\r\n\r\n")
    assert server.wait_exit() == 0


@parity
def test_a_slow_reader_gets_its_rest(serve: Serve, kind: str) -> None:
    server = serve("lab", kind=kind)
    size = 12_000_000
    with server.connect(receive_buffer=65536) as wire:
        wire.request(f"/block/{size}")
        wire.until(b"\r\n\r\n")
        server.signal(SIGTERM)
        server.wait_log("Handling signal: term")
        assert len(wire.exactly(size)) == size
    assert server.wait_exit() == 0


@better
def test_clients_in_the_accept_queue_are_served(serve: Serve) -> None:
    """Gunicorn resets nine of ten of them."""
    server = serve("lab", "-w", "1", kind="sync")
    with ExitStack() as stack:
        first = stack.enter_context(server.connect())
        first.request("/gate/first")
        serve.gates.wait_entered("first")
        waiting = [stack.enter_context(server.connect()) for _ in range(10)]
        for wire in waiting:
            wire.request("/pid")
        server.signal(SIGTERM)
        server.wait_log("Handling signal: term")
        serve.gates.open("first")
        assert first.reply().status == 200
        assert [wire.reply().status for wire in waiting] == [200] * 10
    assert server.wait_exit() == 0


@pytest.mark.parametrize("beginning", [b"", b"GET / HT", None])
def test_idle_connections_do_not_delay_it(serve: Serve, kind: str, beginning: bytes | None) -> None:
    server = serve("lab", "--graceful-timeout", "30", "--header-timeout", "2", kind=kind)
    with ExitStack() as stack:
        for _ in range(5):
            wire = stack.enter_context(server.connect())
            if beginning is None:
                wire.get()
            else:
                wire.send(beginning)
        server.get()
        begun = time.monotonic()
        assert server.stop() == 0
        # Half a head may be waited for, as long as a head may take.
        assert time.monotonic() - begun < 6


def test_a_kept_connection_that_asks_once_more_is_answered(serve: Serve) -> None:
    """With a thread still busy the worker is there, and tells the others to go."""
    server = serve("lab", "--log-level", "debug", kind="gthread")
    with server.connect() as busy, server.connect() as kept:
        kept.get()
        busy.request("/gate/last")
        serve.gates.wait_entered("last")
        server.signal(SIGTERM)
        server.wait_log("Worker was told to finish")
        kept_ends(kept)
        serve.gates.open("last")
        assert busy.reply().status == 200
    assert server.wait_exit() == 0


def kept_ends(wire: Wire) -> None:
    """An answer with `Connection: close`, or a close before the request: both are clean."""
    try:
        wire.send(head())
        reply = wire.reply()
    except (AssertionError, OSError):
        return
    assert reply.status == 200
    assert reply.header("Connection") == "close"


@parity
def test_new_connections_are_refused_when_it_is_over(serve: Serve) -> None:
    server = serve("lab")
    assert server.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        server.connect()


@parity
def test_the_graceful_timeout_ends_what_does_not(serve: Serve, kind: str) -> None:
    server = serve("lab", "--graceful-timeout", "1", kind=kind)
    with server.connect() as wire:
        wire.request("/stubborn/never")
        serve.gates.wait_entered("never")
        begun = time.monotonic()
        assert server.stop() == 0
        assert 0.8 < time.monotonic() - begun < 8


@parity("sync")
def test_under_load_every_answer_is_whole(serve: Serve, kind: str) -> None:
    server = serve("lab", "-w", "2", kind=kind)
    with Load(server, clients=6, target="/block/100000") as load:
        eventually(lambda: load.total > 50)
        assert server.stop() == 0
    # A connection may be refused, or closed before its first byte; no answer may be cut.
    allowed = re.compile(r"ConnectionRefusedError|ConnectionReset|BrokenPipe|Closed.*have b''$")
    assert [failure for failure in load.failures if not allowed.match(failure)] == []


@parity
def test_the_unix_socket_is_removed(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    server = serve("lab", "-w", "2", bind=f"unix:{path}")
    # Gunicorn forgets a worker that it forks while it is told to end.
    serve.wait_serving(server, 2)
    assert path.is_socket()
    assert server.stop() == 0
    assert not path.exists()


@parity
def test_a_worker_does_not_remove_the_socket(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    server = serve("lab", bind=f"unix:{path}")
    [worker] = server.wait_workers(1)
    os.kill(worker, SIGTERM)
    [second] = server.wait_replaced([worker], 1)
    os.kill(second, SIGKILL)
    server.wait_replaced([second], 1)
    assert path.is_socket()
    assert server.get().text == "Hello, world!"


@parity
def test_exit_handlers_of_the_application_run(serve: Serve, write, kind: str) -> None:
    write(
        "leaves.py",
        """
        import atexit
        from lab import application, mark

        atexit.register(mark, "atexit")
        """,
    )
    server = serve("leaves", "--pythonpath", str(APPS), cwd=serve.folder, kind=kind)
    assert server.stop() == 0
    assert serve.gates.marked("atexit")
