"""A log pipe that is not read stops no worker: lines are lost, and the log says how many once it can be written."""

from __future__ import annotations

import fcntl
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import KINDS, Serve, Server, eventually

WORKERS = {**KINDS, "asgi": ["-k", "asgi"]}
APP = {"sync": "lab", "gthread": "lab", "asgi": "asgi_lab"}

#: Requests whose lines fill a pipe several times.
MANY = 300


class Pipe:
    """A pipe that is read only on request, by default of the smallest size."""

    def __init__(self, fifo: Path | None = None, size: int = 4096) -> None:
        if fifo is None:
            self.end, self.writer = os.pipe()
            os.set_blocking(self.end, False)
        else:
            os.mkfifo(fifo)
            self.end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            self.writer = os.open(fifo, os.O_WRONLY)
        fcntl.fcntl(self.end, fcntl.F_SETPIPE_SZ, size)

    def close(self) -> None:
        os.close(self.end)
        os.close(self.writer)

    def read(self) -> str:
        """All that is there."""
        parts = []
        try:
            while True:
                parts.append(os.read(self.end, 65536))
        except BlockingIOError:
            return b"".join(parts).decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture(params=WORKERS)
def worker(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def start(serve: Serve, pipe: Pipe, worker: str) -> Callable[..., Server]:
    def start(stream: int, *options: str) -> Server:
        """A server one of whose standard streams goes into the pipe."""
        code = f"import os, sys; os.dup2({pipe.writer}, {stream}); os.execv(sys.argv[1], sys.argv[1:])"
        redirect = (sys.executable, "-c", code)
        return serve(APP[worker], *WORKERS[worker], "-w", "1", *options, prefix=redirect, pass_fds=(pipe.writer,))

    return start


def ask(server: Server, target: str, number: int = MANY) -> None:
    for _ in range(number):
        assert server.get(target).status in (200, 500)


def lines_of(text: str) -> int:
    """The number of lines, each of them whole."""
    assert text.endswith("\n")
    return len(text.splitlines())


def test_the_access_log(start: Callable[..., Server], pipe: Pipe) -> None:
    server = start(1, "--access-logfile", "-", "--access-logformat", "%(m)s of some length that fills the pipe sooner")
    ask(server, "/")
    kept = pipe.read()
    assert set(kept.splitlines()) == {"GET of some length that fills the pipe sooner"}
    server.wait_log("The access log cannot be written")
    ask(server, "/", 1)
    [told] = server.wait_log(r"The access log can be written again; (\d+) lines were lost")

    def are_accounted_for() -> bool:
        """An event loop writes its lines when the client has its answer already."""
        nonlocal kept
        kept += pipe.read()
        # The server was asked once more before, to see that it is there.
        return lines_of(kept) + int(told[1]) == MANY + 2

    eventually(are_accounted_for, what=lambda: f"{lines_of(kept)} lines were read, and {told[1]} lost")


def test_the_error_log(start: Callable[..., Server], pipe: Pipe, worker: str) -> None:
    """An application that fails tells of itself in several lines each time."""
    server = start(2)
    target = "/early_error" if worker == "asgi" else "/error/in%20vain"
    ask(server, target, 60)
    lines_of(pipe.read())
    ask(server, target, 1)
    told = eventually(lambda: re.search(r"The error log can be written again; (\d+) lines were lost", pipe.read()))
    assert int(told[1]) > 60


def test_a_pipe_with_a_name(serve: Serve, tmp_path: Path) -> None:
    """The kernel knows no single write to it that does not wait."""
    pipe = Pipe(tmp_path / "log", 4 * 4096)
    server = serve("lab", "-k", "sync", "--access-logfile", str(tmp_path / "log"))
    ask(server, "/")
    lines_of(pipe.read())
    ask(server, "/", 1)
    server.wait_log(r"The access log can be written again; \d+ lines were lost")
    pipe.close()


def test_a_full_pipe_does_not_keep_a_server_from_ending(start: Callable[..., Server], pipe: Pipe) -> None:
    server = start(1, "--access-logfile", "-")
    ask(server, "/")
    assert server.stop() == 0
