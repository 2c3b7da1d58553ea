"""In which order workers and their successors come and go, and what hooks see of it."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTTIN, SIGTTOU

import pytest
from harness import KINDS, Load, Serve, Server, eventually, processes

#: The recipe that numbers workers, as Galaxy's and authentik's conf files have it.
RECIPE = """
import os

def on_starting(server):
    server._worker_id_overload = set()

def nworkers_changed(server, new_value, old_value):
    server._worker_id_current_workers = new_value

def _next_worker_id(server):
    if server._worker_id_overload:
        return server._worker_id_overload.pop()
    in_use = {worker._worker_id for worker in tuple(server.WORKERS.values()) if worker.alive}
    free = set(range(1, server._worker_id_current_workers + 1)) - in_use
    return free.pop()

def on_reload(server):
    server._worker_id_overload = set(range(1, server.cfg.workers + 1))

def pre_fork(server, worker):
    worker._worker_id = _next_worker_id(server)

def post_fork(server, worker):
    os.environ["WORKER_ID"] = str(worker._worker_id)
"""

#: The published one without the reload's own set: a reload needs its numbers too.
LOWEST = """
import os

def pre_fork(server, worker):
    taken = {other.number for other in server.WORKERS.values() if other.alive}
    worker.number = min(number for number in range(1, 9) if number not in taken)
    if worker.number > server.num_workers:
        raise KeyError(worker.number)

def post_fork(server, worker):
    os.environ["WORKER_ID"] = str(worker.number)
"""

#: One number for each process that is there, and only one process for each number.
OWNER = """
import fcntl, os

held = None

def lock():
    global held
    held = open(os.environ["LOCK"], "w")
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)

lock()

def app(environ, start_response):
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
"""


@pytest.fixture(params=[RECIPE, LOWEST], ids=["recipe", "lowest"])
def conf(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / "numbers.py"
    path.write_text(request.param)
    return str(path)


def numbers(server: Server, workers: list[int]) -> list[int]:
    """The numbers of the living workers, as each has it in its environment."""
    found = []
    for pid in workers:
        environment = server.get("/variable/WORKER_ID").text if len(workers) == 1 else number_of(pid, server)
        found.append(int(environment))
    return sorted(found)


def number_of(pid: int, server: Server) -> str:
    """What the worker `pid` answers."""
    while True:
        with server.connect() as wire:
            who = wire.get("/pid").text
            if int(who) == pid:
                return wire.get("/variable/WORKER_ID").text


def check_numbers(serve: Serve, server: Server, count: int) -> None:
    assert "KeyError" not in server.log
    assert "Exception" not in server.log
    workers = server.wait_workers(count)
    assert numbers(server, workers) == list(range(1, count + 1))


def test_numbers_of_workers_that_are_recycled_are_given_again(serve: Serve, conf: str) -> None:
    server = serve("lab", "-c", conf, "--max-requests", "5")
    for _ in range(4):
        old = server.wait_workers(1)
        for _ in range(6):
            server.get()
        server.wait_replaced(old, 1)
        assert server.get("/variable/WORKER_ID").text == "1"
    assert "KeyError" not in server.log


def test_numbers_outlive_a_reload_and_a_change_of_their_count(serve: Serve, conf: str) -> None:
    server = serve("lab", "-c", conf, "--workers", "2", kind="gthread")
    serve.wait_serving(server, 2)
    for _ in range(3):
        old = server.workers()
        server.signal(SIGHUP).wait_replaced(old, 2)
        serve.wait_serving(server, 2)
        check_numbers(serve, server, 2)
    server.signal(SIGTTOU)
    server.wait_workers(1)
    server.signal(SIGTTIN)
    serve.wait_serving(server, 2)
    assert "KeyError" not in server.log


def test_a_number_is_free_as_soon_as_its_worker_is_told_to_go(serve: Serve, tmp_path: Path) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text(LOWEST + "\ndef child_exit(server, worker):\n    print('alive', worker.alive, flush=True)\n")
    server = serve("lab", "-c", str(conf), "--workers", "2", "--graceful-timeout", "30", kind="gthread")
    serve.wait_serving(server, 2)
    with server.connect() as wire:
        wire.request("/gate/held")
        serve.gates.wait_entered("held")
        server.signal(SIGTTOU).signal(SIGTTIN)
        server.wait_log("Booting worker", times=3)
        serve.gates.open("held")
        assert wire.reply().status == 200
    serve.wait_serving(server, 2)
    assert "KeyError" not in server.log
    server.wait_log("^alive False$")


def test_a_worker_that_dies_leaves_its_number(serve: Serve, conf: str) -> None:
    server = serve("lab", "-c", conf, "--workers", "2", kind="gthread")
    for _ in range(3):
        old = serve.wait_serving(server, 2)
        os.kill(old[0], SIGKILL)
        eventually(lambda: old[0] not in server.workers())  # noqa: B023
        serve.wait_serving(server, 2)
    check_numbers(serve, server, 2)


# One by one

SERVED = {**{kind: ("owner:app", *options) for kind, options in KINDS.items()}, "asgi": ("owner:asgi", "-k", "asgi")}


@pytest.fixture(params=SERVED)
def owner(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> Server:
    """A server whose application owns a lock that a second process cannot have."""
    (tmp_path / "owner.py").write_text(OWNER)
    options = ("--worker-replacement", "one-by-one", "--graceful-timeout", "10")
    return serve(*SERVED[request.param], *options, cwd=tmp_path, env={"LOCK": str(tmp_path / "lock")}, ready=True)


def test_a_reload_starts_the_successor_when_the_old_worker_is_gone(owner: Server) -> None:
    for _ in range(3):
        old = owner.wait_workers(1)
        with Load(owner, clients=2) as load:
            owner.signal(SIGHUP).wait_replaced(old, 1)
            eventually(lambda: {*load.answers} - {str(old[0])}, within=20)  # noqa: B023
        assert not load.failures
    assert "BlockingIOError" not in owner.log


def test_so_does_max_requests(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "owner.py").write_text(OWNER)
    options = ("--worker-replacement", "one-by-one", "--max-requests", "20")
    server = serve("owner:app", *options, cwd=tmp_path, env={"LOCK": str(tmp_path / "lock")}, kind="gthread")
    with Load(server, clients=2) as load:
        eventually(lambda: len(load.answers) >= 4, within=30, what=lambda: f"four workers; {load.answers}")
    assert not load.failures
    assert "BlockingIOError" not in server.log


def test_so_does_a_changed_file(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "owner.py").write_text(OWNER)
    options = ("--worker-replacement", "one-by-one", "--reload")
    server = serve("owner:app", *options, cwd=tmp_path, env={"LOCK": str(tmp_path / "lock")})
    old = int(server.get().body)
    (tmp_path / "owner.py").write_text(OWNER.replace("%d", "%d again"))
    eventually(lambda: server.get().text.endswith("again"), within=20, what=lambda: server.log)
    assert not processes.alive(old)
    assert "BlockingIOError" not in server.log


def test_workers_are_replaced_one_at_a_time(serve: Serve) -> None:
    server = serve("lab", "--worker-replacement", "one-by-one", "--workers", "3")
    old = serve.wait_serving(server, 3)
    serve.occupy(server, 3)
    most = 3
    server.signal(SIGHUP)

    def replaced() -> bool:
        nonlocal most
        there = server.workers()
        most = max(most, len(there))
        return not set(there) & set(old) and len(there) == 3

    eventually(replaced, within=30)
    assert most == 3


def test_code_that_does_not_boot_costs_one_worker_of_several(serve: Serve, write) -> None:
    server = serve("lab", "--worker-replacement", "one-by-one", "--workers", "2", "-c", str(write("c.py", "")))
    old = serve.wait_serving(server, 2)
    serve.occupy(server, 2)
    write("c.py", "def post_fork(server, worker):\n    raise ValueError('not today')\n")
    server.signal(SIGHUP)
    server.wait_log("Reload failed: Worker failed to boot")
    serve.wait_serving(server, 2)
    assert len({*old} & {*server.workers()}) == 1
    assert server.get().status == 200


# The start

BROKEN = "raise ValueError('no database')\n"


@pytest.mark.parametrize(("code", "text"), [(3, BROKEN), (4, "nothing = 1\n")])
def test_the_launcher_of_a_daemon_tells_of_workers_that_cannot_boot(
    serve: Serve, tmp_path: Path, code: int, text: str
) -> None:
    (tmp_path / "broken.py").write_text(text)
    log = tmp_path / "error.log"
    options = ("broken:app", "-D", "--pid", str(tmp_path / "pid"), "--error-logfile", str(log))
    refusal = serve.refused(*options, cwd=tmp_path)
    assert refusal.code == code
    assert refusal.err.startswith("error: ")
    assert str(log) in refusal.err
    assert not (tmp_path / "pid").exists()
    if code == 3:
        assert "no database" in log.read_text()


def test_the_launcher_of_a_daemon_waits_until_it_serves(serve: Serve, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    server = serve("lab", "-D", "--pid", str(pidfile), "--error-logfile", str(tmp_path / "log"), ready=False)
    assert server.wait_exit() == 0
    pid = int(pidfile.read_text())
    try:
        [worker] = processes.children(pid)
        assert serve.gates.marked(f"imported-{worker}")
        assert server.get().status == 200
    finally:
        os.killpg(os.getpgid(pid), SIGKILL)


NO_FORK = "import posix\n\ndef fork():\n    raise BlockingIOError(11, 'unavailable')\n\nposix.fork = fork\n"
NO_THREAD = """
import os, resource

def post_fork(server, worker):
    # The system counts the processes of a user; it does not count root's.
    if os.getuid() == 0:
        os.setuid(54321)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
"""


@pytest.mark.parametrize("missing", [NO_FORK, NO_THREAD], ids=["fork", "thread"])
def test_a_server_that_can_make_no_worker_gives_up(serve: Serve, tmp_path: Path, missing: str) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text(missing)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = serve("lab", "-c", str(conf), "--preload", "--workers", "2", bind=f"127.0.0.1:{port}", ready=False)
    assert server.wait_exit(within=60) == 3
    assert "Reason: No worker could be started." in server.log
    assert re.search("could not be started: .*unavailable|No thread can be started: ", server.log)


def test_one_that_has_served_goes_on(serve: Serve, tmp_path: Path) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text(
        "import posix\nfrom pathlib import Path\nreal = posix.fork\n\n"
        f"def fork():\n    if Path({str(tmp_path / 'full')!r}).exists():\n"
        "        raise BlockingIOError(11, 'unavailable')\n    return real()\n\nposix.fork = fork\n"
    )
    server = serve("lab", "-c", str(conf))
    [worker] = server.wait_workers(1)
    (tmp_path / "full").touch()
    os.kill(worker, SIGKILL)
    server.wait_log("could not be started", times=5, within=20)
    (tmp_path / "full").unlink()
    assert server.get().status == 200
