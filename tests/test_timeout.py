"""A worker that is stuck for longer than `--timeout` is replaced, and no other client waits for it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import APPS, Serve, better, eventually, parity, still
from harness.wire import head

TIMEOUT = ("--timeout", "2")


@parity
@pytest.mark.parametrize("view", ["gate", "spin", "stubborn"])
def test_a_hung_sync_worker_is_replaced(serve: Serve, view: str) -> None:
    server = serve("lab", "-w", "1", *TIMEOUT, kind="sync")
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        begun = time.monotonic()
        wire.request(f"/{view}/hung")
        serve.gates.wait_entered("hung")
        server.wait_log(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{worker}\)")
        assert time.monotonic() - begun > 1
        server.wait_replaced([worker], 1)
        # An answer that says so or an end of the stream, but not silence.
        wire.patience(10)
        received = wire.rest_or_reset()
        assert received == b"" or received.startswith(b"HTTP/1.1 50")
    assert server.get().text == "Hello, world!"


@better
@pytest.mark.parametrize(("kind", "view"), [("sync", "gate"), ("sync", "stubborn"), ("gthread", "spin")])
def test_clients_are_answered_and_the_log_says_who_they_are(serve: Serve, kind: str, view: str, tmp_path: Path) -> None:
    """No matter what the threads are stuck in: no Python code has to run for it."""
    access = tmp_path / "access.log"
    server = serve("lab", *TIMEOUT, "--access-logfile", str(access), kind=kind)
    with ExitStack() as stack:
        wires = [stack.enter_context(server.connect()) for _ in range(4 if kind == "gthread" else 1)]
        for number, wire in enumerate(wires):
            wire.request(f"/{view}/hung{number}?a=b")
            serve.gates.wait_entered(f"hung{number}")
        for number, wire in enumerate(wires):
            reply = wire.patience(10).reply()
            assert (reply.status, reply.keeps_alive) == (504, False)
            assert "did not answer in time" in reply.text
            [told] = server.wait_log(
                rf"\[ERROR\] No answer within (\d\.\d) s: GET /{view}/hung{number}\?a=b, from 127\.0\.0\.1:(\d+); its"
            )
            assert 1.5 < float(told[1]) < 9
            assert int(told[2]) == wire.socket.getsockname()[1]
    lines = eventually(lambda: (text := access.read_text()).count("hung") >= len(wires) and text)
    assert len(re.findall(r'"GET /\w+/hung\d\?a=b HTTP/1.1" 504 ', lines)) == len(wires)


def test_a_view_in_c_is_answered_too(serve: Serve, write: Callable[[str, str], Path]) -> None:
    """One call into C that keeps the GIL: no handler of Python's can run, and no thread."""
    write(
        "deaf.py",
        """
        import lab
        def application(environ, start_response):
            if environ["PATH_INFO"] == "/deaf":
                lab.mark("deaf.entered")
                sum(range(10**12))
            return lab.plain(start_response, b"heard")
        """,
    )
    server = serve("deaf", *TIMEOUT, "--pythonpath", str(APPS), cwd=serve.folder, kind="sync")
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/deaf")
        serve.gates.wait_entered("deaf")
        assert wire.patience(10).reply().status == 504
        server.wait_log("No answer within .* GET /deaf")
    server.wait_replaced([worker], 1)
    assert server.get().text == "heard"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_clients_of_an_event_loop_that_is_blocked_are_answered(
    serve: Serve, write: Callable[[str, str], Path], loop: str
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    write(
        "blocked.py",
        """
        import asyncio, lab
        async def application(scope, receive, send):
            if scope["path"] == "/block":
                lab.mark("block.entered")
                sum(range(10**12))
            if scope["path"] == "/wait":
                lab.mark("wait.entered")
                await asyncio.sleep(60)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
        """,
    )
    options = (*TIMEOUT, "-k", "asgi", "--asgi-loop", loop, "--pythonpath", str(APPS))
    server = serve("blocked", *options, cwd=serve.folder)
    with server.connect() as waiting, server.connect() as blocking:
        waiting.request("/wait")
        serve.gates.wait_entered("wait")
        blocking.request("/block")
        serve.gates.wait_entered("block")
        assert blocking.patience(10).reply().status == 504
        assert waiting.patience(10).reply().status == 504
        server.wait_log("No answer within .* GET /block")
        server.wait_log("No answer within .* GET /wait")
    assert server.get().text == "ok"


def test_a_response_that_has_begun_is_cut_off(serve: Serve, write: Callable[[str, str], Path]) -> None:
    write(
        "stalls.py",
        """
        import lab
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"begun"
            if environ["PATH_INFO"] == "/stall":
                lab.wait_at("stall")
        """,
    )
    server = serve("stalls", *TIMEOUT, "--pythonpath", str(APPS), cwd=serve.folder, kind="sync")
    with server.connect() as wire:
        wire.request("/stall")
        received = wire.patience(10).rest_or_reset()
    assert received.startswith(b"HTTP/1.1 200") and b"begun" in received
    assert b"504" not in received and not received.endswith(b"0\r\n\r\n")
    server.wait_log("GET /stall, .*; its response is cut off")


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
    [timed_out] = server.wait_log(r"WORKER TIMEOUT \(pid:(\d+)\)")
    hung = int(timed_out[1])
    left = server.wait_replaced([hung], 2)
    assert set(workers) - {hung} <= set(left), "only the hung one was replaced"


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
