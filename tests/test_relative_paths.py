"""Relative paths mean the same files through HUP, USR1 and USR2, wherever the application goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP, SIGTERM, SIGUSR1, SIGUSR2

from harness import Serve, Server, eventually, processes

Write = Callable[[str, str], Path]

#: An application that changes the directory behind the server's back.
APP = """
    import os

    os.chdir("/")

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]
"""

CONF = """
    chdir = "work"
    bind = "unix:socket"
    pidfile = "pid"
    errorlog = "error.log"
    accesslog = "access.log"
    tmp_upload_dir = "uploads"
    workers = {workers}
"""


def start(serve: Serve, write: Write, *options: str) -> tuple[Server, Path]:
    write("work/wanderer.py", APP)
    conf = write("deploy/conf.py", CONF.format(workers=1))
    launch = conf.parent.parent
    work = launch / "work"
    (work / "uploads").mkdir()
    server = serve("wanderer", "-c", "deploy/conf.py", *options, cwd=launch, bind=None, ready=False)
    server.address = str(work / "socket")
    server.wait_ready()
    return server, work


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_files_stand_in_the_directory_of_chdir(serve: Serve, write: Write) -> None:
    server, work = start(serve, write)
    assert (work / "pid").read_text() == f"{server.pid}\n"
    eventually(lambda: lines(work / "access.log") > 0, what="an access line")
    assert "Listening at: unix:socket" in (work / "error.log").read_text()
    assert server.post("/", b"x" * 2_000_000).status == 200
    assert sorted(path.name for path in work.iterdir() if path.suffix != ".py") == [
        "access.log",
        "error.log",
        "pid",
        "socket",
        "uploads",
    ]
    assert server.stop(SIGTERM) == 0
    assert not (work / "pid").exists() and not (work / "socket").exists()


def test_logs_are_opened_again_where_they_were(serve: Serve, write: Write) -> None:
    server, work = start(serve, write)
    for name in ("access.log", "error.log"):
        (work / name).rename(work / f"{name}.1")
    server.signal(SIGUSR1)
    eventually(lambda: (work / "error.log").exists() and (work / "access.log").exists(), what="new logs")
    eventually(lambda: server.get("/").status == 200 and lines(work / "access.log") > 0, what="an access line")


def test_a_reload_reads_the_same_conf_file_and_keeps_the_same_files(serve: Serve, write: Write) -> None:
    server, work = start(serve, write)
    before = {name: (work / name).stat().st_ino for name in ("socket", "error.log", "access.log")}
    old = server.workers()
    write("deploy/conf.py", CONF.format(workers=2))
    server.signal(SIGHUP).wait_replaced(old, 2)
    assert server.get("/").status == 200
    assert {name: (work / name).stat().st_ino for name in before} == before
    assert (work / "pid").read_text() == f"{server.pid}\n"
    assert not list(work.parent.glob("*.log")) and not list(Path("/").glob("*.log"))


def test_an_upgrade_finds_everything_where_it_was(serve: Serve, write: Write) -> None:
    server, work = start(serve, write)
    inode = (work / "socket").stat().st_ino
    server.signal(SIGUSR2)
    new = int(eventually(lambda: (work / "pid.2").exists() and (work / "pid.2").read_text(), within=20))
    eventually(lambda: processes.children(new), within=20, what="workers of the new master")
    assert server.stop(SIGTERM) == 0
    eventually(lambda: (work / "pid").exists() and (work / "pid").read_text() == f"{new}\n", what="its name")
    assert (work / "socket").stat().st_ino == inode
    assert server.get("/").status == 200
    assert os.readlink(f"/proc/{new}/cwd") == str(work)
    os.kill(new, SIGTERM)
    eventually(lambda: not processes.alive(new), within=15)
    assert not (work / "pid").exists() and not (work / "socket").exists()
