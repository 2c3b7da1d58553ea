"""Where a worker stands can be asked at any time, and is told when it times out: threads, tasks and greenlets."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest
from harness import APPS, Serve, eventually
from oxicorn import stacks
from oxicorn.ctl import Control, ControlError
from test_control_socket import ctl

Write = Callable[[str, str], Path]

DEAF = """
    import lab, time
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/deaf":
            lab.mark("deaf.entered")
            count_without_end()
        return lab.plain(start_response, b"heard")
    def count_without_end():
        return sum(range(10**12))
    """


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "control")


def test_the_stacks_of_threads_are_told(serve: Serve, path: str) -> None:
    server = serve("lab", "-w", "2", "--control-socket", path, kind="gthread")
    workers = server.wait_workers(2)
    with server.connect() as wire:
        wire.request("/gate/here")
        serve.gates.wait_entered("here")
        with Control(path) as control:
            stacks = {told["pid"]: told["text"] for told in control.send("stacks")["stacks"]}
            assert sorted(stacks) == sorted(workers)
            (busy,) = [pid for pid, text in stacks.items() if "in wait_at" in text]
            assert re.search(
                r'Thread oxicorn-\d, id \d+:\n(  .*\n)+  File ".*lab.py", line \d+, in wait_at', stacks[busy]
            )
            (told,) = control.send(f"stacks {busy}")["stacks"]
            assert told["pid"] == busy and "in wait_at" in told["text"]
            with pytest.raises(ControlError, match="Worker 1 not found"):
                control.send("stacks 1")
        shown = ctl("-s", path, "stacks", str(busy)).stdout
        assert shown.startswith(f"Worker {busy}:\nThread ") and "in wait_at" in shown
        serve.gates.open("here")
        assert wire.reply().status == 200


def test_a_thread_that_is_stuck_in_c_with_the_gil_is_told(serve: Serve, path: str, write: Write) -> None:
    write("deaf.py", DEAF)
    options = ("--control-socket", path, "--pythonpath", str(APPS))
    server = serve("deaf", *options, cwd=serve.folder, kind="gthread")
    workers = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/deaf")
        serve.gates.wait_entered("deaf")
        with Control(path) as control:
            for _ in range(3):
                (told,) = control.send("stacks")["stacks"]
                assert "A thread holds the GIL" in told["text"]
                assert "in count_without_end" in told["text"]
        assert server.workers() == workers


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_tasks_are_told_with_what_they_await(serve: Serve, path: str, write: Write, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    write(
        "tasks.py",
        """
        import asyncio, lab
        async def inner(): await asyncio.sleep(60)
        async def outer(): await inner()
        async def application(scope, receive, send):
            if scope["path"] == "/wait":
                lab.mark("wait.entered")
                await outer()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
        """,
    )
    options = ("--control-socket", path, "-k", "asgi", "--asgi-loop", loop, "--pythonpath", str(APPS))
    server = serve("tasks", *options, cwd=serve.folder)
    with server.connect() as wire, Control(path) as control:
        wire.request("/wait")
        serve.gates.wait_entered("wait")
        (told,) = control.send("stacks")["stacks"]
        task = told["text"].partition("Task ")[2]
        assert re.search(r"in application\n.*\n.*in outer\n.*\n.*in inner\n.*\n.*in sleep\n.*\n  waits for ", task), (
            told
        )


def test_greenlets_are_told(serve: Serve, path: str) -> None:
    pytest.importorskip("gevent")
    server = serve("gevent_lab:app", "-k", "gevent", "--control-socket", path)
    with server.connect() as wire, Control(path) as control:
        wire.request("/gate/here")
        serve.gates.wait_entered("here")
        (told,) = control.send("stacks")["stacks"]
        assert re.search(r"Greenlet .*:\n(  .*\n)*  File \".*gevent_lab.py\"", told["text"]), told["text"]
        serve.gates.open("here")
        assert wire.reply().status == 200


def test_telling_runs_no_code_of_lazy_objects() -> None:
    """The greenlets are looked for among all objects; the class of a lazy one is a query of a database."""
    pytest.importorskip("greenlet")

    class Lazy:
        @property
        def __class__(self) -> type:
            raise AssertionError("evaluated")

    lazy = [Lazy()]
    assert "Thread " in stacks.text(None)
    del lazy


@pytest.mark.parametrize("limit", ["--timeout", "--request-timeout"])
def test_a_time_out_tells_the_stack_of_a_thread_in_c(serve: Serve, write: Write, limit: str) -> None:
    write("deaf.py", DEAF)
    server = serve("deaf", limit, "2", "--pythonpath", str(APPS), cwd=serve.folder, kind="sync")
    with server.connect() as wire:
        wire.request("/deaf")
        assert wire.patience(10).reply().status == 504
        server.wait_log(r"\[ERROR\] Worker \(pid: \d+\) stands at:\n(.*\n)*.*in count_without_end")


def test_a_request_time_out_tells_the_stack_once_for_many(serve: Serve) -> None:
    server = serve("lab", "--request-timeout", "1", kind="gthread")
    with server.connect() as one, server.connect() as other:
        one.request("/gate/one")
        other.request("/gate/other")
        assert one.patience(10).reply().status == other.patience(10).reply().status == 504
        server.wait_log(r"stands at:\n(.*\n)*  File .*in wait_at")
        serve.gates.open("one")
        serve.gates.open("other")
    assert server.get().status == 200
    assert server.log.count("stands at:") == 1


def test_the_requests_in_flight_are_shown(serve: Serve, path: str) -> None:
    server = serve("lab", "--control-socket", path, kind="gthread")
    (worker,) = server.wait_workers(1)
    with server.connect() as wire, Control(path) as control:
        assert control.send("show requests") == {"requests": [], "total": 0, "unanswered": []}
        wire.request('/gate/here?"=\\')
        serve.gates.wait_entered("here")
        eventually(lambda: control.send("show requests")["requests"])
        (shown,) = control.send("show requests")["requests"]
        assert (shown["pid"], shown["method"], shown["target"]) == (worker, "GET", '/gate/here?"=\\')
        assert (shown["protocol"], shown["phase"]) == ("HTTP/1.1", "running")
        assert shown["client"] == f"127.0.0.1:{wire.socket.getsockname()[1]}"
        (told,) = control.send("stacks")["stacks"]
        assert f", id {shown['thread']}:" in told["text"]
        serve.gates.open("here")
        assert wire.reply().status == 200


def test_a_worker_that_does_not_answer_is_named_and_holds_nobody_up(serve: Serve, path: str) -> None:
    server = serve("lab", "--control-socket", path)
    (worker,) = server.wait_workers(1)
    os.kill(worker, SIGSTOP)
    try:
        begun = time.monotonic()
        with Control(path) as control, Control(path) as other:
            (told,) = control.send("stacks")["stacks"]
            assert told == {"pid": worker, "error": "the worker does not answer"}
            assert other.send("show workers")["count"] == 1
        assert time.monotonic() - begun < 10
    finally:
        os.kill(worker, SIGCONT)
