"""Threads: those that run views are Python's own, and those that views start are waited for."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGSEGV, SIGTERM, Signals

import pytest
from harness import KINDS, Serve, Server, eventually, processes, still

SERVED = {
    **{kind: ("threads_lab:wsgi", *options) for kind, options in KINDS.items()},
    "asgi": ("threads_lab:asgi", "-k", "asgi"),
}


@pytest.fixture(params=SERVED, scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def server(kind: str, serve_module: Serve) -> Server:
    return serve_module(*SERVED[kind])


def test_views_run_in_threads_of_pythons_own(server: Server, kind: str) -> None:
    shown = server.get("/describe").json()
    name = r"oxicorn-\d" if kind == "gthread" else "MainThread"
    assert re.fullmatch(name, shown.pop("name"))
    of_class = "Thread" if kind == "gthread" else "_MainThread"
    expected = {"class": of_class, "daemon": False, "inherited": False, "ident": True, "listed": True}
    assert shown == expected


def test_the_system_knows_the_names_of_threads(server: Server, kind: str) -> None:
    [worker] = server.wait_workers(1)
    expected = {"oxicorn-io"}
    if kind == "gthread":
        expected.update(f"oxicorn-{number}" for number in range(4))

    def names() -> set[str]:
        return {(task / "comm").read_text().strip() for task in Path(f"/proc/{worker}/task").iterdir()}

    # The first thread may answer before the others have begun.
    eventually(lambda: expected <= names(), what=lambda: f"{expected} among {names()}")


def test_no_signal_is_blocked_in_views_and_what_they_start(server: Server) -> None:
    assert server.get("/blocked").body == b"0"
    assert server.get("/blocked-in-a-thread").body == b"0"


def test_signals_of_faults_are_blocked_in_no_thread(server: Server) -> None:
    assert server.get("/faults").json() == []


HOOKS = """
import signal

def note(*_):
    print("blocked:", len(signal.pthread_sigmask(signal.SIG_BLOCK, [])), flush=True)

pre_request = post_request = post_worker_init = worker_exit = note
"""


def test_no_signal_is_blocked_in_hooks(kind: str, serve: Serve, tmp_path: Path) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text(HOOKS)
    server = serve(*SERVED[kind], "-c", str(conf))
    assert server.stop() == 0
    found = re.findall(r"^blocked: (\d+)$", server.out, re.MULTILINE)
    assert len(found) >= 4
    assert set(found) == {"0"}


def test_faulthandler_tells_of_a_crash_in_a_view(kind: str, serve: Serve) -> None:
    server = serve(*SERVED[kind])
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/crash")
        server.wait_replaced([worker], 1)
    assert "Fatal Python error: Segmentation fault" in server.err
    assert re.search(r'File ".*threads_lab.py", line \d+ in crash', server.err)
    server.wait_log(rf"Worker \(pid:{worker}\) was sent {SIGSEGV.name}!")


@pytest.mark.parametrize("depth", [1000, 4000])
def test_there_is_room_for_recursion_through_c(kind: str, serve: Serve, depth: int) -> None:
    server = serve(*SERVED[kind])
    [worker] = server.wait_workers(1)
    assert server.get(f"/recurse/{depth}").body in (b"done", b"RecursionError")
    assert server.workers() == [worker]


def test_stacks_are_as_large_as_the_main_threads(serve: Serve) -> None:
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    if hard != resource.RLIM_INFINITY and hard < 1 << 26:
        pytest.skip("the stack's limit cannot be raised here")
    for limit, kib in {"8192": 8192, "65536": 65536, "unlimited": 65536}.items():
        server = serve(*SERVED["gthread"], prefix=("sh", "-c", f'ulimit -s {limit}; exec "$@"', "sh"))
        # The guard page may count or not.
        assert kib - 8 <= int(server.get("/stack").body) <= kib + 8, limit
        assert server.stop() == 0


def test_the_applications_own_stack_size_is_respected(serve: Serve, tmp_path: Path) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text("import threading\n\ndef post_fork(server, worker):\n    threading.stack_size(3 << 20)\n")
    server = serve(*SERVED["gthread"], "-c", str(conf))
    assert 3072 - 8 <= int(server.get("/stack").body) <= 3072 + 8


ENDS = {"TERM": SIGTERM, "INT": SIGINT}


@pytest.mark.parametrize("way", ["thread", "executor"])
@pytest.mark.parametrize("end", ["TERM", "INT", "HUP", "max_requests"])
def test_threads_that_views_start_are_waited_for(kind: str, serve: Serve, way: str, end: str) -> None:
    options = ["--max-requests", "2"] if end == "max_requests" else []
    server = serve(*SERVED[kind], "--graceful-timeout", "20", *options)
    worker = int(server.get(f"/{way}/job").body)
    serve.gates.wait_entered("job")
    if end in ENDS:
        server.signal(ENDS[end])
    elif end == "HUP":
        server.signal(SIGHUP)
        eventually(lambda: int(server.get("/pid").body) != worker)
    else:
        eventually(lambda: int(server.get("/pid").body) != worker)
    still(lambda: processes.alive(worker), throughout=0.5, what="the worker waits for its thread")
    serve.gates.open("job")
    eventually(lambda: not processes.alive(worker))
    assert serve.gates.marked("job.left")
    if end in ENDS:
        assert server.wait_exit() == 0


def test_views_are_not_waited_for_at_a_quick_end_but_their_threads_are(serve: Serve) -> None:
    server = serve(*SERVED["gthread"], "--graceful-timeout", "20")
    worker = int(server.get("/thread/job").body)
    serve.gates.wait_entered("job")
    with server.connect() as wire:
        wire.request("/stand/view")
        serve.gates.wait_entered("view")
        server.signal(SIGINT)
        assert wire.rest_or_reset() == b""
    still(lambda: processes.alive(worker), throughout=0.5, what="the worker waits for its thread")
    serve.gates.open("job")
    assert server.wait_exit() == 0
    assert not serve.gates.marked("view.left")


@pytest.mark.parametrize("end", [SIGTERM, SIGINT, SIGHUP])
def test_a_thread_that_never_ends_is_named(kind: str, serve: Serve, end: Signals) -> None:
    server = serve(*SERVED[kind], "--graceful-timeout", "2")
    worker = int(server.get("/thread/forever").body)
    serve.gates.wait_entered("forever")
    server.signal(end)
    eventually(lambda: not processes.alive(worker))
    server.wait_log(rf"\[WARNING\] .*\(pid: ?{worker}\).* reporter of forever")
    server.wait_log(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{worker}\)")
    if end != SIGHUP:
        assert server.wait_exit() == 0


def test_threads_that_end_in_time_are_not_told_of(kind: str, serve: Serve) -> None:
    server = serve(*SERVED[kind], "--graceful-timeout", "20")
    server.get("/thread/job")
    serve.gates.wait_entered("job")
    serve.gates.open("job")
    assert server.stop() == 0
    assert "reporter" not in server.log
    assert "TIMEOUT" not in server.log


def test_two_threads_and_none_of_pythons_own_are_named(serve: Serve) -> None:
    server = serve(*SERVED["gthread"], "--graceful-timeout", "2", env={"PYTHONDEVMODE": "1"})
    for name in ("one", "two"):
        server.get(f"/thread/{name}")
        serve.gates.wait_entered(name)
    assert server.stop() == 0
    [told] = server.wait_log(r"\[WARNING\] .*threads? .*: (.*)$")
    assert {name.strip() for name in told[1].split(",")} == {"reporter of one", "reporter of two"}
    assert os.getpid() not in server.workers()
