"""A worker that is stuck for longer than `--timeout` is replaced, and nobody else waits for it."""

from __future__ import annotations

import re
import time

import pytest
from harness import APPS, Serve, Server, better, parity, still
from harness.wire import head

TIMEOUT = ("--timeout", "2")


@parity
@pytest.mark.parametrize("view", ["gate", "spin", "stubborn"])
def test_a_hung_sync_worker_is_replaced(serve: Serve, view: str) -> None:
    server = serve("lab", "-w", "1", *TIMEOUT, kind="sync")
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        wire.request(f"/{view}/hung")
        serve.gates.wait_entered("hung")
        begun = time.monotonic()
        server.wait_log(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{worker}\)")
        assert time.monotonic() - begun > 1
        server.wait_replaced([worker], 1)
        # An answer that says so or an end of the stream, but not silence.
        wire.patience(10)
        received = wire.rest_or_reset()
        assert received == b"" or received.startswith(b"HTTP/1.1 50")
    assert server.get().text == "Hello, world!"


@better
def test_the_log_does_not_blame_the_memory(serve: Serve) -> None:
    server = serve("lab", *TIMEOUT)
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/stubborn/hung")
        server.wait_replaced([worker], 1)
    assert not re.search(r"perhaps|out of memory|out-of-memory", server.log.lower())


@parity
def test_the_log_says_where_it_hung(serve: Serve) -> None:
    server = serve("lab", *TIMEOUT, kind="sync")
    with server.connect() as wire:
        wire.request("/gate/hung")
        server.wait_log("WORKER TIMEOUT")
        server.wait_log(r"in wait_at")


def test_others_are_served_meanwhile(serve: Serve) -> None:
    server = serve("lab", "-w", "2", *TIMEOUT, kind="sync")
    workers = serve.wait_serving(server, 2)
    with server.connect() as wire:
        wire.request("/gate/hung")
        serve.gates.wait_entered("hung")

        def served_quickly() -> bool:
            begun = time.monotonic()
            return server.get().status == 200 and time.monotonic() - begun < 1

        still(served_quickly, throughout=3, what="quick answers")
    server.wait_log("WORKER TIMEOUT", times=1)
    eventually_replaced(server, workers)


def eventually_replaced(server: Server, workers: list[int]) -> None:
    server.wait_workers(2)
    assert len(set(workers) & set(server.workers())) == 1, "only the hung one was replaced"


def test_idle_workers_are_left_alone(serve: Serve, kind: str) -> None:
    server = serve("lab", "--timeout", "1", kind=kind)
    workers = server.wait_workers(1)
    with server.connect() as wire:
        wire.get()
        still(lambda: server.workers() == workers, throughout=2, what="the same worker")
        assert wire.get().text == "Hello, world!"


@parity("gthread")
def test_a_busy_worker_that_answers_is_left_alone(serve: Serve, kind: str) -> None:
    server = serve("lab", "--timeout", "1", kind=kind)
    workers = server.wait_workers(1)
    with server.connect() as wire:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert wire.get().status == 200
    assert server.workers() == workers


@parity("gthread")
def test_a_slow_upload_is_not_a_hung_worker(serve: Serve, kind: str) -> None:
    """The body is read before the view begins, so its slowness is the client's alone."""
    server = serve("lab", "--timeout", "1", kind=kind)
    workers = server.wait_workers(1)
    with server.connect() as wire:
        wire.send(head("/length", method="POST", body=b"x" * 100) + b"x")
        still(lambda: server.workers() == workers, throughout=2, what="the same worker")
        assert wire.send(b"x" * 99).reply().text == "100"


@parity
def test_one_long_request_does_not_cost_a_threaded_worker(serve: Serve) -> None:
    server = serve("lab", "--timeout", "1", kind="gthread")
    workers = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/gate/long")
        serve.gates.wait_entered("long")
        still(lambda: server.workers() == workers, throughout=2, what="the same worker")
        serve.gates.open("long")
        assert wire.reply().status == 200


def test_a_threaded_worker_with_no_free_thread_is_replaced(serve: Serve) -> None:
    """Gunicorn never notices: its heartbeat goes on while every thread hangs."""
    server = serve("lab", "-k", "gthread", "--threads", "2", *TIMEOUT)
    [worker] = server.wait_workers(1)
    with server.connect() as one, server.connect() as two:
        for name, wire in (("one", one), ("two", two)):
            wire.request(f"/gate/{name}")
            serve.gates.wait_entered(name)
        server.wait_log(rf"WORKER TIMEOUT \(pid:{worker}\)")
        server.wait_replaced([worker], 1)
    assert server.get().text == "Hello, world!"


@parity
def test_timeout_0_waits_for_ever(serve: Serve) -> None:
    server = serve("lab", "--timeout", "0", kind="sync")
    workers = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/gate/long")
        serve.gates.wait_entered("long")
        still(lambda: server.workers() == workers, throughout=1.5, what="the same worker")
        serve.gates.open("long")
        assert wire.reply().status == 200


def test_an_import_that_hangs_is_a_timeout(serve: Serve, write) -> None:
    write(
        "hangs.py",
        """
        import lab
        lab.mark("importing")
        if not (lab.GATES / "import.entered").exists():
            lab.wait_at("import")
        application = lab.application
        """,
    )
    server = serve("hangs", *TIMEOUT, "--pythonpath", str(APPS), cwd=serve.folder, ready=False)
    server.wait_log("WORKER TIMEOUT", within=20)
    server.wait_ready(within=30)
    assert server.get().text == "Hello, world!"
