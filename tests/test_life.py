"""The hooks of a whole life: which process calls which, in which order and with what.

One conf file notes every call. What each process noted is compared with one text here, and the same
texts hold for Gunicorn (`make test-parity`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, Signals

import pytest
from harness import APPS, Serve, Server, better, eventually, parity, processes

CONF = """
import os
from pathlib import Path

FILE = Path(os.environ["LAB_GATES"]) / "life"

def note(name, *values):
    with FILE.open("a") as file:
        file.write(" ".join([str(os.getpid()), name, *map(str, values)]) + "\\n")

def on_starting(server):
    note("on_starting")

def on_reload(server):
    note("on_reload")

def when_ready(server):
    note("when_ready")

def nworkers_changed(server, new_value, old_value):
    note("nworkers_changed", old_value, new_value)

def pre_fork(server, worker):
    note("pre_fork", worker.age)

def post_fork(server, worker):
    note("post_fork", worker.age)

def post_worker_init(worker):
    note("post_worker_init")

def worker_int(worker):
    note("worker_int")

def worker_abort(worker):
    note("worker_abort")

def pre_exec(server):
    note("pre_exec")

def pre_request(worker, req):
    note("pre_request", req.method, req.path)

def post_request(worker, req, environ, resp):
    note("post_request", req.method, req.path, resp.status)

def child_exit(server, worker):
    note("child_exit", worker.age)

def worker_exit(server, worker):
    note("worker_exit", worker.age)

def on_exit(server):
    note("on_exit")

note("conf")
"""

APP = """
import os
from pathlib import Path
from lab import application

with (Path(os.environ["LAB_GATES"]) / "life").open("a") as file:
    file.write(f"{os.getpid()} import\\n")
"""


class Life:
    """What was noted, process by process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _rows(self) -> list[tuple[int, str]]:
        rows = [line.partition(" ") for line in self.path.read_text().splitlines()]
        return [(int(pid), call) for pid, _, call in rows]

    def of(self, pid: int) -> list[str]:
        """The calls in this process, in their order."""
        return [call for process, call in self._rows() if process == pid]

    def workers(self, *arbiters: int) -> list[list[str]]:
        """The calls in each process that is not an arbiter, in the order of their births."""
        pids = dict.fromkeys(pid for pid, _ in self._rows())
        return [self.of(pid) for pid in pids if pid not in arbiters]

    def wait(self, pid: int, call: str, times: int = 1) -> None:
        """Wait until this process has noted a call that begins so."""
        eventually(
            lambda: sum(each.startswith(call) for each in self.of(pid)) >= times,
            within=20,
            what=lambda: f"{call!r} of {pid} in {self._rows()}",
        )


START = ["conf", "nworkers_changed None 1", "on_starting", "when_ready", "pre_fork 1"]
BOOT = ["import", "post_worker_init"]


def asked(target: str, status: str = "200 OK") -> list[str]:
    """The calls for one request."""
    return [f"pre_request GET {target}", f"post_request GET {target} {status}"]


@pytest.fixture
def life(serve: Serve) -> Life:
    return Life(serve.gates.folder / "life")


@pytest.fixture
def start(serve: Serve, life: Life) -> Callable[..., Server]:
    """A server with all hooks, whose first worker has answered one request."""
    (serve.folder / "gunicorn.conf.py").write_text(CONF)
    (serve.folder / "lively.py").write_text(APP)

    def start(*options: str, kind: str = "sync") -> Server:
        server = serve("lively", *options, env=PATHS, cwd=serve.folder, kind=kind)
        [worker] = server.wait_workers(1)
        life.wait(worker, "post_request")
        return server

    return start


#: Gunicorn's `--check-config` does not look at `--pythonpath`.
PATHS = {"PYTHONPATH": str(APPS)}


@parity
@pytest.mark.parametrize(
    ("number", "last"),
    [
        (SIGTERM, ["worker_exit 1"]),
        (SIGINT, ["worker_int", "worker_exit 1"]),
        (SIGQUIT, ["worker_int", "worker_exit 1"]),
    ],
    ids=["TERM", "INT", "QUIT"],
)
def test_a_start_and_a_stop(start, life: Life, kind: str, number: Signals, last: list[str]) -> None:
    server = start(kind=kind)
    [worker] = server.workers()
    assert server.stop(number) == 0
    assert life.of(server.pid) == [*START, "child_exit 1", "on_exit"]
    assert life.of(worker) == ["post_fork 1", *BOOT, *asked("/"), *last]


@parity
def test_a_reload(start, life: Life) -> None:
    server = start()
    [old] = server.workers()
    server.signal(SIGHUP)
    [new] = server.wait_replaced([old], 1)
    life.wait(server.pid, "child_exit 1")
    life.wait(new, "post_worker_init")
    assert server.stop() == 0
    reload = ["conf", "nworkers_changed 1 1", "on_reload", "pre_fork 2", "child_exit 1"]
    assert life.of(server.pid) == [*START, *reload, "child_exit 2", "on_exit"]
    assert life.of(old) == ["post_fork 1", *BOOT, *asked("/"), "worker_exit 1"]
    assert life.of(new) == ["post_fork 2", *BOOT, "worker_exit 2"]


@parity
def test_a_reload_that_changes_the_number(serve: Serve, start, life: Life) -> None:
    server = start()
    old = server.workers()
    (serve.folder / "gunicorn.conf.py").write_text(CONF + "workers = 2\n")
    server.signal(SIGHUP)
    server.wait_replaced(old, 2)
    life.wait(server.pid, "child_exit 1")
    reload = ["conf", "nworkers_changed 1 2", "on_reload", "pre_fork 2", "pre_fork 3", "child_exit 1"]
    assert life.of(server.pid) == [*START, *reload]


@parity
def test_usr1_calls_nothing(start, life: Life) -> None:
    server = start()
    [worker] = server.workers()
    server.signal(SIGUSR1)
    server.wait_log("Handling signal: usr1")
    assert server.stop() == 0
    assert life.of(server.pid) == [*START, "child_exit 1", "on_exit"]
    assert life.of(worker) == ["post_fork 1", *BOOT, *asked("/"), "worker_exit 1"]


@parity
def test_more_and_fewer_workers(serve: Serve, start, life: Life) -> None:
    server = start()
    [first] = server.workers()
    server.signal(SIGTTIN)
    life.wait(server.pid, "pre_fork 2")
    [second] = [pid for pid in server.wait_workers(2) if pid != first]
    life.wait(second, "post_worker_init")
    # It serves a moment later, and one that does not would go first.
    serve.occupy(server, 2)
    server.signal(SIGTTOU)
    life.wait(server.pid, "child_exit 1")
    server.signal(SIGTTOU)
    server.wait_log("Handling signal: ttou", times=2)
    assert server.stop() == 0
    changes = ["nworkers_changed 1 2", "pre_fork 2", "nworkers_changed 2 1", "child_exit 1"]
    assert life.of(server.pid) == [*START, *changes, "child_exit 2", "on_exit"]
    assert life.of(first)[-1] == "worker_exit 1"


@parity
@pytest.mark.parametrize("end", ["signal", "exit"])
def test_a_worker_that_dies(start, life: Life, end: str) -> None:
    server = start()
    [old] = server.workers()
    if end == "signal":
        os.kill(old, SIGKILL)
    else:
        with server.connect() as wire:
            wire.request("/leave/7").assert_closed()
    [new] = server.wait_replaced([old], 1)
    life.wait(new, "post_worker_init")
    assert server.stop() == 0
    assert life.of(server.pid) == [*START, "child_exit 1", "pre_fork 2", "child_exit 2", "on_exit"]
    assert "worker_exit 1" not in life.of(old)
    assert life.of(new) == ["post_fork 2", *BOOT, "worker_exit 2"]


@parity
def test_a_worker_that_is_interrupted_within_a_view(serve: Serve, start, life: Life) -> None:
    """The request still has its end: `post_request` runs before the worker leaves."""
    server = start()
    [old] = server.workers()
    with server.connect() as wire:
        wire.request("/gate/busy")
        serve.gates.wait_entered("busy")
        os.kill(old, SIGINT)
        life.wait(old, "worker_exit")
    [pre, interrupted, post, left] = life.of(old)[5:]
    assert (pre, interrupted, left) == ("pre_request GET /gate/busy", "worker_int", "worker_exit 1")
    assert post.startswith("post_request GET /gate/busy")


@parity
def test_a_timeout(serve: Serve, start, life: Life) -> None:
    server = start("--timeout", "1")
    [old] = server.workers()
    with server.connect() as wire:
        wire.request("/gate/hung")
        serve.gates.wait_entered("hung")
        server.wait_replaced([old], 1)
    life.wait(server.pid, "child_exit 1")
    [pre, aborted, post] = life.of(old)[5:8]
    assert (pre, aborted) == ("pre_request GET /gate/hung", "worker_abort")
    assert post.startswith("post_request GET /gate/hung")
    assert life.of(server.pid)[:5] == START


@parity
def test_max_requests(start, life: Life) -> None:
    server = start("--max-requests", "2")
    [old] = server.workers()
    server.get("/pid")
    [new] = server.wait_replaced([old], 1)
    life.wait(server.pid, "child_exit 1")
    life.wait(new, "post_worker_init")
    assert server.stop() == 0
    assert life.of(old) == ["post_fork 1", *BOOT, *asked("/"), *asked("/pid"), "worker_exit 1"]
    assert sorted(life.of(server.pid)[5:]) == ["child_exit 1", "child_exit 2", "on_exit", "pre_fork 2"]


@better
def test_the_successor_at_max_requests_is_forked_first(start, life: Life) -> None:
    server = start("--max-requests", "2")
    server.get("/pid")
    life.wait(server.pid, "child_exit 1")
    assert life.of(server.pid)[5:7] == ["pre_fork 2", "child_exit 1"]


@parity
def test_an_upgrade(serve: Serve, start, life: Life) -> None:
    pidfile = serve.folder / "pid"
    server = start("--pid", str(pidfile))
    [worker] = server.workers()
    server.signal(SIGUSR2)
    second = serve.folder / "pid.2"
    new = int(eventually(lambda: second.exists() and second.read_text().strip(), within=20))
    life.wait(new, "pre_fork 1")
    eventually(lambda: len(life.workers(server.pid, new)) == 2)
    [_, child] = [each for each in dict.fromkeys(pid for pid, _ in life._rows()) if each not in (server.pid, new)]
    life.wait(child, "post_worker_init")
    assert server.stop() == 0
    eventually(lambda: pidfile.exists() and pidfile.read_text() == f"{new}\n", within=15)
    os.kill(new, SIGTERM)
    eventually(lambda: not processes.alive(new), within=15)
    assert life.of(server.pid) == [*START, "child_exit 1", "on_exit"]
    assert life.of(new) == ["pre_exec", *START, "child_exit 1", "on_exit"]
    assert life.of(worker) == ["post_fork 1", *BOOT, *asked("/"), "worker_exit 1"]
    assert life.of(child) == ["post_fork 1", *BOOT, "worker_exit 1"]


@parity
def test_preloaded(start, life: Life) -> None:
    """The arbiter imports, once; a reload forks from what it has."""
    server = start("--preload")
    [old] = server.workers()
    server.signal(SIGHUP)
    [new] = server.wait_replaced([old], 1)
    life.wait(new, "post_worker_init")
    life.wait(server.pid, "child_exit 1")
    assert server.stop() == 0
    assert life.of(server.pid).count("import") == 1
    reload = ["conf", "nworkers_changed 1 1", "on_reload", "pre_fork 2", "child_exit 1"]
    others = [call for call in life.of(server.pid) if call != "import"]
    assert others == [*START, *reload, "child_exit 2", "on_exit"]
    assert life.of(old) == ["post_fork 1", "post_worker_init", *asked("/"), "worker_exit 1"]
    assert life.of(new) == ["post_fork 2", "post_worker_init", "worker_exit 2"]


@better
def test_preloading_waits_for_the_sockets(start, life: Life) -> None:
    server = start("--preload")
    assert life.of(server.pid)[1:5] == ["nworkers_changed None 1", "on_starting", "import", "when_ready"]


@parity
def test_a_worker_that_cannot_boot(serve: Serve, start, life: Life) -> None:
    (serve.folder / "lively.py").write_text(APP + "raise RuntimeError\n")
    assert serve.refused("lively", env=PATHS, cwd=serve.folder).code == 3
    assert life.workers()[1] == ["post_fork 1", "import", "worker_exit 1"]
    # Gunicorn runs no child_exit for it.
    assert [call for call in life.workers()[0] if call != "child_exit 1"] == [*START, "on_exit"]


@parity
def test_a_view_that_raises(start, life: Life) -> None:
    server = start()
    [worker] = server.workers()
    assert server.get("/error/here").status == 500
    life.wait(worker, "post_request GET /error/here")
    assert server.stop() == 0
    [pre, post, left] = life.of(worker)[5:]
    assert (pre, left) == ("pre_request GET /error/here", "worker_exit 1")
    assert post.startswith("post_request GET /error/here")


@better
def test_post_request_sees_what_was_sent(start, life: Life) -> None:
    server = start()
    [worker] = server.workers()
    server.get("/error/here")
    life.wait(worker, "post_request GET /error/here")
    assert life.of(worker)[-1] == "post_request GET /error/here 500 Internal Server Error"


@parity
def test_a_request_that_cannot_be_read_calls_nothing(start, life: Life) -> None:
    server = start()
    [worker] = server.workers()
    with server.connect() as wire:
        assert wire.send(b"nonsense\r\n\r\n").reply().status == 400
    assert server.stop() == 0
    assert life.of(worker) == ["post_fork 1", *BOOT, *asked("/"), "worker_exit 1"]


@parity
def test_check_config_imports_and_calls_nothing(serve: Serve, start, life: Life) -> None:
    checked = serve.refused("lively", "--check-config", env=PATHS, cwd=serve.folder)
    assert checked.code == 0, checked.text
    assert life.workers() == [["conf", "import"]]


@parity
def test_a_worker_whose_arbiter_is_killed(start, life: Life) -> None:
    # Gunicorn's sync worker looks for its parent every half time-out.
    server = start("--timeout", "2")
    [worker] = server.workers()
    server.stop(SIGKILL)
    eventually(lambda: not processes.alive(worker), within=15)
    assert life.of(worker) == ["post_fork 1", *BOOT, *asked("/"), "worker_exit 1"]


FAILS = """
def {hook}({arguments}):
    if (FILE.parent / "fail").exists():
        raise RuntimeError("not today")
"""


def failing(serve: Serve, hook: str, arguments: str) -> None:
    """A hook that raises from the moment on when there is a file `fail`."""
    conf = serve.folder / "gunicorn.conf.py"
    conf.write_text(CONF + FAILS.format(hook=hook, arguments=arguments))


@parity
@pytest.mark.parametrize(
    ("hook", "arguments", "number"),
    [
        pytest.param("on_reload", "server", SIGHUP, marks=better),
        pytest.param("nworkers_changed", "server, new, old", SIGTTIN, marks=better),
        ("pre_exec", "server", SIGUSR2),
    ],
)
def test_a_hook_of_the_arbiter_that_raises_ends_nothing(serve: Serve, start, hook, arguments, number) -> None:
    failing(serve, hook, arguments)
    server = start()
    (serve.gates.folder / "fail").touch()
    server.signal(number)
    server.wait_log("not today")
    (serve.gates.folder / "fail").unlink()
    assert server.get("/pid").status == 200
    assert server.stop() == 0


@parity
@pytest.mark.parametrize(
    ("hook", "arguments"),
    [("worker_int", "worker"), ("worker_exit", "server, worker")],
)
def test_a_hook_of_a_worker_that_raises_is_logged(serve: Serve, start, hook: str, arguments: str) -> None:
    failing(serve, hook, arguments)
    server = start()
    old = server.workers()
    (serve.gates.folder / "fail").touch()
    os.kill(old[0], SIGINT)
    server.wait_log("not today")
    server.wait_replaced(old, 1)
    (serve.gates.folder / "fail").unlink()
    assert server.get("/pid").status == 200
    assert server.stop() == 0


@parity
def test_pre_request_that_raises_is_a_500(serve: Serve, start) -> None:
    failing(serve, "pre_request", "worker, req")
    server = start()
    (serve.gates.folder / "fail").touch()
    assert server.get("/pid").status == 500
    server.wait_log("not today")
    (serve.gates.folder / "fail").unlink()
    assert server.get("/pid").status == 200


@parity
def test_pre_fork_that_raises_ends_the_start(serve: Serve, start, life: Life) -> None:
    """Gunicorn's exit code is 255, for want of anybody who expected it."""
    failing(serve, "pre_fork", "server, worker")
    (serve.gates.folder / "fail").touch()
    refusal = serve.refused("lively", env=PATHS, cwd=serve.folder)
    assert refusal.code in (3, 255)
    assert "not today" in refusal.text
