"""`--daemon` leaves the terminal; the launcher's work is done at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest
from harness import APPS, Serve, Server, better, eventually, parity, processes
from harness.server import free_port
from harness.terminal import Terminal


@contextmanager
def background(serve: Serve, tmp_path: Path, *options: str) -> Iterator[tuple[Server, int]]:
    pidfile = tmp_path / "pid"
    server = serve("lab", "-D", "--pid", str(pidfile), *options, ready=False)
    assert server.wait_exit() == 0
    pid = int(eventually(lambda: pidfile.exists() and pidfile.read_text().strip(), within=20))
    try:
        yield server, pid
    finally:
        # Its session is its own, so that the end of `server` does not reach it.
        if processes.alive(pid):
            os.killpg(os.getpgid(pid), SIGKILL)


@pytest.fixture
def daemon(serve: Serve, tmp_path: Path) -> Iterator[tuple[Server, int]]:
    with background(serve, tmp_path, "--log-file", str(tmp_path / "error.log")) as started:
        yield started


@parity
def test_it_serves_after_the_launcher_has_gone(daemon: tuple[Server, int]) -> None:
    server, pid = daemon
    eventually(lambda: processes.children(pid), within=20)
    assert server.get().text == "Hello, world!"


@parity
def test_it_has_a_session_of_its_own_and_no_terminal(daemon: tuple[Server, int]) -> None:
    server, pid = daemon
    assert os.getsid(pid) not in (os.getsid(0), server.pid)
    for number in (0, 1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"


@parity
def test_it_stops_cleanly(daemon: tuple[Server, int], tmp_path: Path) -> None:
    server, pid = daemon
    eventually(lambda: processes.children(pid), within=20)
    assert server.get().text == "Hello, world!"
    os.kill(pid, SIGTERM)
    eventually(lambda: not processes.alive(pid), within=15)
    assert not (tmp_path / "pid").exists()
    assert "Shutting down: Master" in (tmp_path / "error.log").read_text()


@better
def test_the_launcher_tells_of_a_start_that_failed(serve: Serve, tmp_path: Path) -> None:
    """Gunicorn's has gone with 0 before anything can fail."""
    pidfile = tmp_path / "pid"
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        refusal = serve.refused("lab", "-D", "--pid", str(pidfile), bind=f"127.0.0.1:{port}")
        assert refusal.code == 1
    assert not pidfile.exists()


def test_its_files_are_for_everybody_to_read_and_for_it_alone_to_write(daemon: tuple[Server, int]) -> None:
    _, pid = daemon
    status = Path(f"/proc/{pid}/status").read_text()
    assert "\nUmask:\t0022\n" in status


def test_it_keeps_redirected_streams_where_that_is_asked_for(serve: Serve, tmp_path: Path) -> None:
    with background(serve, tmp_path, "-R") as (server, pid):
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
        for number, file in [(1, server._out), (2, server._err)]:
            assert os.readlink(f"/proc/{pid}/fd/{number}") == str(file)
        # The error log, which is standard error, goes on.
        server.wait_log("Booting worker with pid")


def test_it_leaves_a_terminal_all_the_same(tmp_path: Path) -> None:
    pidfile, port = tmp_path / "pid", free_port()
    words = ["lab", "-D", "-R", "--pid", str(pidfile), "--bind", f"127.0.0.1:{port}"]
    with Terminal(*words, cwd=APPS) as terminal:
        assert terminal.process.wait(20) == 0
        pid = int(eventually(lambda: pidfile.exists() and pidfile.read_text().strip(), within=20))
        try:
            for number in (0, 1, 2):
                assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"
        finally:
            os.killpg(os.getpgid(pid), SIGKILL)
