"""The pid file names the arbiter for as long as it runs, and no exit leaves it behind."""

from __future__ import annotations

import stat
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGQUIT, SIGTERM, Signals

import pytest
from harness import APPS, Serve, better, eventually, parity


@pytest.fixture
def pidfile(tmp_path: Path) -> Path:
    return tmp_path / "oxicorn.pid"


@parity
@pytest.mark.parametrize("number", [SIGTERM, SIGINT, SIGQUIT], ids=lambda each: each.name)
def test_it_comes_and_goes(serve: Serve, pidfile: Path, number: Signals) -> None:
    server = serve("lab", "--pid", str(pidfile))
    assert pidfile.read_text() == f"{server.pid}\n"
    assert stat.S_IMODE(pidfile.stat().st_mode) == 0o644
    assert server.stop(number) == 0
    assert not pidfile.exists()


@parity
def test_it_stays_over_a_reload(serve: Serve, pidfile: Path) -> None:
    server = serve("lab", "-p", str(pidfile))
    old = server.wait_workers(1)
    server.signal(SIGHUP)
    server.wait_replaced(old, 1)
    assert pidfile.read_text() == f"{server.pid}\n"


@parity
def test_it_moves_with_the_configuration(serve: Serve, pidfile: Path) -> None:
    conf, moved = serve.folder / "gunicorn.conf.py", pidfile.with_name("moved.pid")
    conf.write_text(f"pidfile = {str(pidfile)!r}\n")
    server = serve("lab", "--pythonpath", str(APPS), cwd=serve.folder)
    old = server.wait_workers(1)
    conf.write_text(f"pidfile = {str(moved)!r}\n")
    server.signal(SIGHUP)
    server.wait_replaced(old, 1)
    assert not pidfile.exists()
    assert moved.read_text() == f"{server.pid}\n"
    assert server.stop() == 0
    assert not moved.exists()


@parity
def test_a_running_server_is_named(serve: Serve, pidfile: Path) -> None:
    server = serve("lab", "--pid", str(pidfile))
    refusal = serve.refused("lab", "--pid", str(pidfile))
    assert refusal.code == 1
    assert str(server.pid) in refusal.text and str(pidfile) in refusal.text
    assert "Traceback" not in refusal.text
    assert pidfile.read_text() == f"{server.pid}\n", "the file is still the first one's"
    assert server.get().text == "Hello, world!"


@parity
@pytest.mark.parametrize("content", ["", "not a pid\n", pytest.param("4194304999\n", marks=better), "999999\n"])
def test_a_stale_one_is_replaced(serve: Serve, pidfile: Path, content: str) -> None:
    pidfile.write_text(content)
    server = serve("lab", "--pid", str(pidfile))
    assert pidfile.read_text() == f"{server.pid}\n"


@parity
def test_one_that_cannot_be_written_is_a_clear_error(serve: Serve, tmp_path: Path) -> None:
    refusal = serve.refused("lab", "--pid", str(tmp_path / "not" / "there" / "pid"))
    assert refusal.code == 1
    assert "not/there" in refusal.text and "Traceback" not in refusal.text


@better(always=False)
def test_a_boot_failure_removes_it(serve: Serve, pidfile: Path, write) -> None:
    write("broken.py", "raise RuntimeError\n")
    refusal = serve.refused("broken", "-w", "2", "--pid", str(pidfile), cwd=serve.folder)
    assert refusal.code == 3
    assert not pidfile.exists()


@parity
def test_a_file_that_names_another_by_now_is_left_alone(serve: Serve, pidfile: Path) -> None:
    server = serve("lab", "--pid", str(pidfile))
    pidfile.write_text("1\n")
    assert server.stop() == 0
    assert pidfile.read_text() == "1\n"


def test_of_two_that_start_at_once_one_has_it(serve: Serve, pidfile: Path) -> None:
    servers = [serve("lab", "--pid", str(pidfile), ready=False) for _ in range(4)]
    eventually(lambda: sum(server.running for server in servers) == 1 and pidfile.exists(), within=20)
    [winner] = [server for server in servers if server.running]
    assert winner.wait_ready().get().text == "Hello, world!"
    assert pidfile.read_text() == f"{winner.pid}\n"
    assert {server.wait_exit() for server in servers if server is not winner} == {1}
    assert winner.stop() == 0
    assert not pidfile.exists()
