"""A log that cannot be written stops nothing, and is told of once."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from signal import SIGUSR1

import pytest
from harness import Serve, Server, eventually

PYTHONS = (
    "from gunicorn import glogging\nclass logger_class(glogging.Logger):\n    def now(self): return super().now()\n"
)
"""A class that has access lines pass through Python."""


def ask(server: Server, times: int = 20) -> None:
    for number in range(times):
        assert server.get(f"/block/{number}").status == 200


@pytest.fixture(params=["server", "logger"])
def conf(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Both ways that access lines take."""
    path = tmp_path / "conf.py"
    path.write_text(PYTHONS if request.param == "logger" else "")
    return ["-c", str(path)]


def test_a_full_disk_under_the_access_log(serve: Serve, conf: list[str], kind: str) -> None:
    server = serve("lab", "--access-logfile", "/dev/full", *conf, kind=kind)
    ask(server)
    server.wait_log(r"\[ERROR\] .* cannot be written: .*No space left on device.*; lines are lost until it can")
    ask(server)
    assert server.stop() == 0
    assert len(re.findall("No space left", server.err)) == 1, server.err
    assert "Traceback" not in server.err


def test_a_full_disk_under_the_error_log(serve: Serve) -> None:
    server = serve("lab", "--error-logfile", "/dev/full", "--log-level", "debug")
    server.get("/error/one")
    server.get("/error/two")
    ask(server)
    assert server.stop() == 0
    assert len(re.findall(r"\[ERROR\] The error log /dev/full cannot be written: No space left", server.err)) == 1


def test_a_log_that_can_be_written_again_says_what_is_missing(serve: Serve, conf: list[str], tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.symlink_to("/dev/full")
    server = serve("lab", "-w", "1", "--access-logfile", str(log), *conf)
    ask(server)
    server.wait_log("No space left")
    log.unlink()
    server.signal(SIGUSR1)

    def written() -> bool:
        ask(server, 1)
        return log.exists() and "/block/0" in log.read_text()

    eventually(written, what=lambda: server.log)
    server.wait_log(r"can be written again; \d+ lines were lost")


@pytest.mark.parametrize("kind", ["sync", "asgi"])
def test_a_reader_of_standard_output_that_leaves(serve: Serve, tmp_path: Path, conf: list[str], kind: str) -> None:
    """`oxicorn … | head`."""
    app = ["asgi_lab", "-k", "asgi"] if kind == "asgi" else ["lab"]
    gone = tmp_path / "gone"
    # A shell between: the server's standard output is a pipe whose reader ends after its first line.
    script = f'exec "$@" > >(head -n 1 >/dev/null; touch {gone})'
    prefix = (shutil.which("bash") or "bash", "-c", script, "bash")
    server = serve(*app, "-w", "1", "--access-logfile", "-", *conf, prefix=prefix)
    target = "/hello" if kind == "asgi" else "/block/1"

    def told() -> bool:
        assert server.get(target).body
        return "roken pipe" in server.err

    eventually(told, what=lambda: server.log)
    for _ in range(20):
        assert server.get(target).body
    assert server.stop() == 0
    assert len(re.findall("roken pipe", server.err)) == 1, server.err


def test_a_directory_that_vanishes_stops_no_worker(serve: Serve, conf: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    options = ("--access-logfile", str(folder / "access.log"), "--error-logfile", str(folder / "error.log"))
    server = serve("lab", "-w", "1", *options, *conf)
    [worker] = server.wait_workers(1)
    saved = os.open(folder / "error.log", os.O_RDONLY)
    shutil.rmtree(folder)
    server.signal(SIGUSR1)
    ask(server)
    # A worker that is born now has nowhere to write and serves all the same.
    os.kill(worker, 9)
    server.wait_replaced([worker], 1)
    ask(server)
    folder.mkdir()
    server.signal(SIGUSR1)

    def written() -> bool:
        ask(server, 1)
        there = (folder / "access.log").exists() and (folder / "error.log").exists()
        return there and "/block/0" in (folder / "access.log").read_text()

    eventually(written, what=lambda: os.pread(saved, 65536, 0).decode())
    said = os.pread(saved, 1 << 20, 0).decode()
    os.close(saved)
    assert "could not be opened" in said or "cannot be opened" in said
    assert said.count("Booting worker") == 2, said
    assert server.stop() == 0


def test_what_is_printed_follows_the_error_log(serve: Serve, write, tmp_path: Path) -> None:
    """`capture_output` over a rotation; without a file there is nothing to put it into."""
    write(
        "prints.py",
        """
        import os
        from lab import application as lab

        def application(environ, start_response):
            os.write(1, b"printed for " + environ["PATH_INFO"].encode() + b"\\n")
            return lab(environ, start_response)
        """,
    )
    log = tmp_path / "error.log"
    apps = Path(__file__).parent / "apps"
    options = ("--capture-output", "--pythonpath", str(apps), "-w", "1")
    server = serve("prints", *options, "--log-file", str(log), cwd=serve.folder)
    log.rename(tmp_path / "error.1")
    server.signal(SIGUSR1)

    def follows() -> bool:
        server.get("/block/2")
        return log.exists() and "printed for /block/2" in log.read_text()

    eventually(follows)
    assert server.log == ""
    server = serve("prints", *options, cwd=serve.folder)
    server.get("/block/2")
    eventually(lambda: "printed for /block/2" in server.out)


@pytest.mark.parametrize("options", [[], ["--access-logfile", "-"]])
def test_standard_streams_that_are_closed_stay_nobodys(serve: Serve, options: list[str]) -> None:
    """No socket gets the number of a closed stream, where log lines would go to a client."""
    server = serve("lab", *options, prefix=("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"))
    ask(server)
    for pid in [server.pid, *server.wait_workers(1)]:
        for number in range(3):
            assert Path(f"/proc/{pid}/fd/{number}").readlink() == Path("/dev/null")
    assert server.stop() == 0
