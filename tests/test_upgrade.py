"""USR2 starts a new arbiter beside the old one; no client is refused, whichever of the two ends."""

from __future__ import annotations

import os
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGQUIT, SIGTERM, SIGUSR2, SIGWINCH

import pytest
from harness import Load, Serve, Server, eventually, parity, processes


@pytest.fixture
def pidfile(tmp_path: Path) -> Path:
    return tmp_path / "pid"


def upgrade(server: Server, pidfile: Path) -> int:
    """Send USR2 and return the new arbiter's pid, once it has written it."""
    server.signal(SIGUSR2)
    second = pidfile.with_name(pidfile.name + ".2")
    eventually(second.exists, within=20, what=lambda: f"{second}; log:\n{server.log}")
    new = int(eventually(lambda: second.read_text().strip()))
    assert new != server.pid and processes.parent(new) == server.pid
    eventually(lambda: processes.children(new), within=20, what="workers of the new arbiter")
    return new


def promoted(new: int, pidfile: Path) -> bool:
    second = pidfile.with_name(pidfile.name + ".2")
    return pidfile.exists() and pidfile.read_text() == f"{new}\n" and not second.exists()


def stop_orphan(pid: int, server: Server, pidfile: Path) -> None:
    """End an arbiter that is no child of the test any more."""
    os.kill(pid, SIGTERM)
    eventually(lambda: not processes.alive(pid), within=15, what=lambda: server.log)
    assert not pidfile.exists()


@parity
def test_the_new_arbiter_takes_the_place_of_the_old(serve: Serve, pidfile: Path) -> None:
    server = serve("lab", "--pid", str(pidfile), "-w", "2")
    assert pidfile.read_text() == f"{server.pid}\n"
    new = upgrade(server, pidfile)
    assert pidfile.read_text() == f"{server.pid}\n", "the old one is still there"
    with Load(server, clients=3) as load:
        assert server.stop(SIGTERM) == 0
        eventually(lambda: promoted(new, pidfile), what=lambda: server.log)
        seen = load.total
        eventually(lambda: load.total > seen + 20)
    assert load.failures == []
    server.wait_log("Master has been promoted")
    stop_orphan(new, server, pidfile)


@parity
def test_the_new_arbiter_may_be_sent_home(serve: Serve, pidfile: Path) -> None:
    server = serve("lab", "--pid", str(pidfile))
    new = upgrade(server, pidfile)
    os.kill(new, SIGQUIT)
    eventually(lambda: not processes.alive(new), within=15)
    second = pidfile.with_name(pidfile.name + ".2")
    eventually(lambda: not second.exists())
    assert pidfile.read_text() == f"{server.pid}\n"
    assert server.get().text == "Hello, world!"
    again = upgrade(server, pidfile)
    assert again != new
    assert server.stop() == 0
    eventually(lambda: promoted(again, pidfile), what=lambda: server.log)
    stop_orphan(again, server, pidfile)


@parity
def test_a_second_usr2_is_ignored(serve: Serve, pidfile: Path) -> None:
    server = serve("lab", "--pid", str(pidfile), "-w", "1")
    new = upgrade(server, pidfile)
    before = sorted(processes.children(server.pid))
    server.signal(SIGUSR2)
    server.wait_log("Handling signal: usr2", times=2)
    os.kill(new, SIGHUP)
    server.wait_log("Handling signal: hup")
    assert sorted(processes.children(server.pid)) == before
    os.kill(new, SIGTERM)
    eventually(lambda: not processes.alive(new), within=15)


def test_a_master_that_ended_just_before_the_signal_is_none(serve: Serve, pidfile: Path) -> None:
    """What comes together with USR2 came before it, for the child as for the parent."""
    server = serve("lab", "--pid", str(pidfile))
    second = pidfile.with_name(pidfile.name + ".2")
    new = upgrade(server, pidfile)
    with processes.stopped(server.pid):
        os.kill(new, SIGQUIT)
        eventually(lambda: not processes.alive(new), within=15)
        server.signal(SIGUSR2)
    new = int(eventually(lambda: second.exists() and second.read_text().strip(), within=20, what=lambda: server.log))
    eventually(lambda: processes.children(new), within=20, what="workers of the new arbiter")
    with processes.stopped(new):
        server.stop(SIGKILL)
        os.kill(new, SIGUSR2)

    def named_last() -> int | None:
        try:
            return next((pid for pid in [int(second.read_text())] if pid != new), None)
        except (FileNotFoundError, ValueError):
            return None

    last = eventually(named_last, within=20, what=lambda: server.log)
    assert last is not None
    eventually(lambda: processes.children(last), within=20, what="workers of the last arbiter")
    os.kill(last, SIGTERM)
    eventually(lambda: not processes.alive(last), within=15)
    stop_orphan(new, server, pidfile)


@parity
def test_the_new_arbiter_outlives_a_killed_old_one(serve: Serve, pidfile: Path) -> None:
    server = serve("lab", "--pid", str(pidfile))
    new = upgrade(server, pidfile)
    server.stop(SIGKILL)
    eventually(lambda: promoted(new, pidfile), what=lambda: server.log)
    assert server.get().text == "Hello, world!"
    stop_orphan(new, server, pidfile)


@parity
def test_the_unix_socket_stays_until_the_last_goes(serve: Serve, pidfile: Path) -> None:
    path = pidfile.with_name("sock")
    server = serve("lab", "--pid", str(pidfile), bind=f"unix:{path}")
    new = upgrade(server, pidfile)
    assert server.stop() == 0
    eventually(lambda: promoted(new, pidfile), what=lambda: server.log)
    assert path.exists()
    assert server.get().text == "Hello, world!"
    stop_orphan(new, server, pidfile)
    assert not path.exists()


@parity
def test_new_code_is_loaded(serve: Serve, pidfile: Path, write) -> None:
    source = """
        def application(environ, start_response):
            start_response("200 OK", [("Content-Length", "3")])
            return [b"{}"]
        """
    write("versioned.py", source.format("old"))
    server = serve("versioned", "--pid", str(pidfile), cwd=serve.folder)
    write("versioned.py", source.format("new"))
    new = upgrade(server, pidfile)
    assert server.stop() == 0
    eventually(lambda: promoted(new, pidfile))
    assert server.get().text == "new"
    stop_orphan(new, server, pidfile)


@parity
def test_winch_of_a_daemon_lets_the_workers_go(serve: Serve, pidfile: Path) -> None:
    server = serve("lab", "--daemon", "--pid", str(pidfile), ready=False)
    assert server.wait_exit() == 0
    pid = int(eventually(lambda: pidfile.exists() and pidfile.read_text().strip(), within=20))
    try:
        eventually(lambda: processes.children(pid), within=20)
        assert server.get().text == "Hello, world!"
        os.kill(pid, SIGWINCH)
        eventually(lambda: not processes.children(pid), what="no workers")
        os.kill(pid, SIGHUP)
        eventually(lambda: processes.children(pid), within=20, what="workers again")
        assert server.get().text == "Hello, world!"
    finally:
        os.kill(pid, SIGTERM)
        eventually(lambda: not processes.alive(pid), within=15)


def test_relative_paths_mean_the_same_after_it(serve: Serve, write) -> None:
    """The conf file stands where the server was started; everything else is relative to `--chdir`.

    Gunicorn's new master looks for its conf file in the other directory.
    """
    write("conf.py", "pidfile = 'run.pid'\nerrorlog = 'error.log'\naccesslog = 'access.log'\nbind = 'unix:sock'\n")
    away = write("away/app.py", SOURCE).parent
    server = serve("app", "-c", "conf.py", "--chdir", "away", cwd=serve.folder, bind=None, ready=False)
    server.address = str(away / "sock")
    pidfile = away / "run.pid"
    assert server.wait_ready().get().text == "here"
    new = upgrade(server, pidfile)
    eventually(lambda: server.get().status == 200)
    assert server.stop() == 0
    eventually(lambda: promoted(new, pidfile), what=lambda: (away / "error.log").read_text())
    assert server.get("/after").text == "here"
    eventually(lambda: "/after" in (away / "access.log").read_text())
    stop_orphan(new, server, pidfile)
    assert sorted(path.name for path in serve.folder.glob("*.*") if not path.name.startswith("server-")) == ["conf.py"]


SOURCE = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"here"]
"""
