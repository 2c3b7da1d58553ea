"""Processes that views and hooks fork: they can do nothing to their server, and they work."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import re
import signal
from contextlib import ExitStack
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM

import pytest
from harness import APPS, KINDS, Gates, Load, Serve, Server, eventually, processes, still
from harness.frames import read_frame, upgrade

#: How a server is started for each worker class.
SERVED = {
    **{kind: ("forking_lab:wsgi", *options) for kind, options in KINDS.items()},
    "uvloop": ("forking_lab:asgi", "-k", "asgi", "--asgi-loop", "uvloop"),
    "asyncio": ("forking_lab:asgi", "-k", "asgi", "--asgi-loop", "asyncio"),
}

#: Requests that two workers have at the same time when both of them have some. Beside an event loop each holds a thread
#: of its executor, which has a few.
PLACES = {"sync": 2, "gthread": 8, "uvloop": 4, "asyncio": 4}

#: What a child does, and how it ends: the exit code that its parent collects, signals as negative numbers.
ENDS = {
    "leave_3": "3",
    "raise_one": "1",
    "come_back": "0",
    "die": str(-SIGKILL),
    "leave_quietly": "0",
    "be_terminated": str(-SIGTERM),
}


@pytest.fixture(params=SERVED, scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def server(kind: str, serve_module: Serve) -> Server:
    return serve_module(*SERVED[kind], "--workers", "2", "--graceful-timeout", "10", probe="/pid")


def forked(gates: Gates) -> list[int]:
    """The pids of the children that have been."""
    return [int(name.removeprefix("forked-")) for name in gates.marks() if name.startswith("forked-")]


def check_all_well(server: Server, gates: Gates, kind: str, workers: list[int]) -> None:
    """All workers are those that there were, and each of them answers."""
    assert server.workers() == workers, server.log
    answered: set[int] = set()
    rounds = (f"round-{number}" for number in itertools.count(len(gates.marks())))

    def all_answered() -> bool:
        name = next(rounds)
        with ExitStack() as stack:
            wires = []
            for slot in range(PLACES[kind]):
                wires.append(stack.enter_context(server.connect()).request(f"/wait/{name}-{slot}"))
                gates.wait_entered(f"{name}-{slot}")
            for slot in range(PLACES[kind]):
                gates.open(f"{name}-{slot}")
            answered.update(int(wire.reply().body) for wire in wires)
        return answered == set(workers)

    eventually(all_answered, what=lambda: f"answers of {workers}; there are {answered}")


@pytest.mark.parametrize("child", ENDS)
def test_a_forked_child_can_do_nothing_to_its_server(
    server: Server, serve_module: Serve, kind: str, child: str
) -> None:
    workers = server.wait_workers(2)
    with Load(server, clients=2, target="/pid", good=lambda reply: reply.body.decode() in map(str, workers)) as load:
        for _ in range(6):
            with server.connect() as wire:
                reply = wire.get(f"/collect/{child}")
                assert (reply.status, reply.body.decode()) == (200, ENDS[child])
                # Nothing but the answer to it stands between the first answer and the next.
                assert int(wire.get("/pid").body) in workers
    assert not load.failures
    check_all_well(server, serve_module.gates, kind, workers)
    assert not [pid for pid in forked(serve_module.gates) if processes.alive(pid)]


WAYS = ["thread", "twice", "writes", "c"]


@pytest.mark.parametrize("way", [*WAYS, "body", "close", "task", "executor"])
def test_wherever_it_was_forked(server: Server, serve_module: Serve, kind: str, way: str) -> None:
    if way in ("task", "executor") and kind in KINDS:
        pytest.skip("an event loop's")
    if way in ("body", "close") and kind not in KINDS:
        pytest.skip("an ASGI application returns no body")
    workers = server.wait_workers(2)
    # The pool of an executor keeps a thread that is its process's only one, so its child has to leave by itself.
    child = "leave_quietly" if way == "executor" else "come_back"
    for _ in range(6):
        with server.connect() as wire:
            reply = wire.get(f"/{way}/{child}")
            assert (reply.status, reply.body.decode()) == (200, {"body": "-0", "close": "--"}.get(way, "0"))
            assert int(wire.get("/pid").body) in workers
    check_all_well(server, serve_module.gates, kind, workers)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_works_from_views(server: Server, method: str) -> None:
    reply = server.get(f"/multiprocessing/{method}")
    assert reply.body.decode() == f"[0, 1, 4, 9] {-SIGTERM}"


def test_no_signal_is_blocked_in_programs_that_views_start(server: Server) -> None:
    assert server.get("/subprocess").body == b"0"


def test_a_child_that_lives_on_holds_nothing_of_its_server(kind: str, serve: Serve, tmp_path: Path) -> None:
    server = serve(*SERVED[kind], "--graceful-timeout", "10", probe="/pid")
    workers = server.wait_workers(1)
    with server.connect() as wire:
        # Only the end of the connection ends this body.
        wire.send(b"GET /alone/linger HTTP/1.0\r\n\r\n")
        child = int(wire.rest().rpartition(b"\r\n\r\n")[2])
    serve.gates.wait_entered("child")
    try:
        with pytest.raises(AssertionError):
            check_sockets(child, server)
        server.signal(SIGHUP).wait_replaced(workers, 1)
        assert server.get("/pid").status == 200
        assert server.stop() == 0
        assert processes.alive(child)
        again = serve(*SERVED[kind], bind=f"127.0.0.1:{server.address[1]}", probe="/pid")
        assert again.get("/pid").status == 200
    finally:
        serve.gates.open("child")
    eventually(lambda: not processes.alive(child))


def check_sockets(child: int, server: Server) -> None:
    """Fail where `child` has no socket of the server's port."""
    listening, connections = processes.tcp_sockets(server.address[1])
    held = {match[1] for file in processes.open_files(child) if (match := re.match(r"socket:\[(\d+)\]", file))}
    assert held & (set(listening) | set(connections))


def test_the_return_of_a_child_is_told_at_debug_level(kind: str, serve: Serve) -> None:
    server = serve(*SERVED[kind], "--log-level", "debug", probe="/pid")
    server.get("/collect/leave_3")
    [pid] = forked(serve.gates)
    server.wait_log(rf"\[DEBUG\] .*\(pid:{pid}\).* code 3$")


@pytest.mark.parametrize(
    ("child", "end"), [("leave_quietly", "exited with code 0"), ("die", "was sent SIGKILL"), ("raise_one", "code 1")]
)
def test_the_end_of_a_child_is_told_at_debug_level(kind: str, serve: Serve, child: str, end: str) -> None:
    server = serve(*SERVED[kind], "--log-level", "debug", probe="/pid")
    pid = int(server.get(f"/alone/{child}").body)
    server.wait_log(rf"\[DEBUG\] .*\(pid:{pid}\).* {end}$")
    server.get("/collect/leave_quietly")
    _, other = sorted(forked(serve.gates))
    server.wait_log(rf"\[DEBUG\] .*child of the application \(pid:{other}\) (exited with code 0|has ended)")
    assert server.stop() == 0


HOOKS = """
import os, sys, time
from pathlib import Path

def forks(*_):
    pid = os.fork()
    if pid == 0:
        {child}
    else:
        os.waitpid(pid, 0)

{names} = forks
"""


@pytest.mark.parametrize("child", ["return", "sys.exit(3)", "raise ValueError"])
def test_a_child_of_a_hook_leaves_at_once(serve: Serve, tmp_path: Path, child: str) -> None:
    conf, pidfile = tmp_path / "conf.py", tmp_path / "pid"
    names = "on_starting = when_ready = pre_fork = post_fork = post_worker_init = pre_request = post_request"
    conf.write_text(HOOKS.format(child=child, names=names))
    sock = tmp_path / "s.sock"
    server = serve("forking_lab:wsgi", "-c", str(conf), "-p", str(pidfile), "--workers", "2", bind=f"unix:{sock}")
    workers = server.wait_workers(2)
    for _ in range(4):
        assert int(server.get("/pid").body) in workers
    assert (int(pidfile.read_text()), sock.exists()) == (server.pid, True)
    assert server.workers() == workers
    assert server.stop() == 0


def test_a_conf_file_and_a_preloaded_application_may_fork(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "forks_at_import.py").write_text(
        "import os\nfrom forking_lab import wsgi\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n"
    )
    conf = tmp_path / "conf.py"
    conf.write_text("import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n")
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path)])}
    server = serve(
        "forks_at_import:wsgi", "-c", str(conf), "--preload", "--workers", "2", env=environment, probe="/pid"
    )
    workers = server.wait_workers(2)
    check_all_well(server, serve.gates, "sync", workers)
    assert server.stop(signal.SIGTERM) == 0


def test_a_watcher_of_files_is_the_workers_alone(serve: Serve, write) -> None:
    folder = write("late.py", "value = 1\n").parent
    write(
        "app.py",
        """
        import os
        import forking_lab

        def wsgi(environ, start_response):
            if environ["PATH_INFO"] == "/import":
                pid = os.fork()
                if pid == 0:
                    import late
                    return []
                os.waitpid(pid, 0)
            return forking_lab.wsgi({**environ, "PATH_INFO": "/pid"}, start_response)
        """,
    )
    server = serve("app:wsgi", "--reload", cwd=folder, env={"PYTHONPATH": str(APPS)})
    [worker] = server.wait_workers(1)
    for _ in range(3):
        assert int(server.get("/import").body) == worker
    # The worker itself has not imported it, so no worker answers for its change.
    write("late.py", "value = 2\n")
    still(lambda: server.workers() == [worker], throughout=0.5, what="the worker stays")
    write("app.py", "from forking_lab import wsgi\n")
    server.wait_replaced([worker], 1)
    assert server.get("/pid").status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_child_that_reads_the_body_takes_nothing_of_it_away(serve: Serve, kind: str) -> None:
    server = serve(*SERVED[kind], probe="/pid")
    # So much lies in a file, whose position parent and child share.
    body = random.Random(1).randbytes(2_000_000)
    reply = server.post("/upload", body)
    assert reply.text == f"0 {hashlib.sha256(body).hexdigest()}"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_lifespan_and_a_websocket_may_fork(serve: Serve, loop: str) -> None:
    server = serve(*SERVED[loop], "--workers", "2", env={"FORKS_IN_LIFESPAN": "1"}, probe="/pid")
    workers = server.wait_workers(2)
    for _ in range(3):
        with server.connect() as wire:
            upgrade(wire, "/")
            assert read_frame(wire).payload == b"0"
            assert read_frame(wire).close[0] == 1000
    check_all_well(server, serve.gates, loop, workers)
    assert server.stop() == 0
    assert len(forked(serve.gates)) == 3 + 2 * 2
