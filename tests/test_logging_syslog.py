"""Both logs go to syslog where that is asked for, and syslog never holds the server up."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Serve, eventually, free_port


class Syslog:
    """A syslog that keeps what it is sent."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        # Each connection is read by a thread of its own; appending is one step, as adding to bytes is not.
        self.received: list[bytes] = []
        self.streams = listener.type & socket.SOCK_STREAM
        self.address = listener.getsockname()
        if self.streams:
            listener.listen()
        threading.Thread(target=self.accept if self.streams else self.read, args=(listener,), daemon=True).start()

    def accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self.read, args=(connection,), daemon=True).start()

    def read(self, source: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while packet := source.recv(65536):
                self.received.append(packet)

    @property
    def lines(self) -> list[str]:
        return b"".join(self.received).decode().split("\0")

    def wait(self, pattern: str) -> str:
        def found() -> list[str]:
            return [line for line in self.lines if re.fullmatch(pattern, line)]

        return eventually(found, what=lambda: f"{pattern!r} in {self.lines}")[-1]


@pytest.fixture(params=["udp", "tcp", "udp6", "unix", "unix#stream", "unix#dgram"])
def syslog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Syslog]]:
    """A syslog of each kind, and the setting that leads to it."""
    kind = socket.SOCK_STREAM if request.param in ("tcp", "unix#stream") else socket.SOCK_DGRAM
    if request.param.startswith("unix"):
        listener = socket.socket(socket.AF_UNIX, kind)
        listener.bind(str(tmp_path / "log"))
        where = f"unix://{tmp_path / 'log'}{request.param.removeprefix('unix')}"
    else:
        family, host = (socket.AF_INET6, "::1") if request.param == "udp6" else (socket.AF_INET, "127.0.0.1")
        listener = socket.socket(family, kind)
        listener.bind((host, 0))
        shown = f"[{host}]" if ":" in host else host
        where = f"{request.param.removesuffix('6')}://{shown}:{listener.getsockname()[1]}"
    with listener:
        yield where, Syslog(listener)
        # Who still reads would read from whatever gets the number of this socket, should the kernel begin its call
        # anew.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def test_both_logs_arrive(serve: Serve, syslog: tuple[str, Syslog]) -> None:
    where, log = syslog
    server = serve("lab", "-w", "1", "--log-syslog", "--log-syslog-to", where)
    [worker] = server.wait_workers(1)
    server.get("/block/5", fields=[("User-Agent", "lab/1")])
    log.wait(rf"<14>gunicorn\.lab\.error: \[{server.pid}\] Listening at: .*")
    log.wait(rf"<14>gunicorn\.lab\.error: \[{worker}\] Booting worker with pid: {worker}")
    log.wait(rf'<14>gunicorn\.lab\.access: \[{worker}\] 127\.0\.0\.1 - - .*"GET /block/5 HTTP/1\.1" 200 5 "-" "lab/1"')
    server.get("/error/here")
    log.wait(rf"(?s)<11>gunicorn\.lab\.error: \[{worker}\] Error handling request GET /error/here\nTraceback.*here")
    assert "[INFO] Listening at" in server.err, "the error log is there as well"


def test_prefix_facility_and_no_access_lines(serve: Serve) -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    log = Syslog(listener)
    where = f"udp://127.0.0.1:{log.address[1]}"
    options = ("--log-syslog-prefix", "shop", "--log-syslog-facility", "LOCAL3", "--disable-redirect-access-to-syslog")
    server = serve("lab", "--log-syslog", "--log-syslog-to", where, "--access-logfile", "-", *options)
    server.get("/block/5")
    server.get("/error/here")
    log.wait(r"(?s)<155>gunicorn\.shop\.error: \[\d+\] Error handling request GET /error/here.*")
    assert "/block/5" in server.out
    assert not [line for line in log.lines if "access" in line]
    listener.close()


@pytest.mark.parametrize("where", ["tcp://127.0.0.1:{port}", "unix://{folder}/nobody", "tcp://no.such.host.invalid:1"])
def test_a_syslog_that_is_not_there_is_told_of_once(serve: Serve, where: str, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        where = where.format(port=unused.getsockname()[1], folder=tmp_path)
        server = serve("lab", "-w", "1", "--log-syslog", "--log-syslog-to", where, "--access-logfile", "-")
        for number in range(20):
            assert server.get(f"/block/{number}").status == 200
        eventually(lambda: "/block/19" in server.out)
        assert server.stop() == 0
    said = re.findall(r"\[ERROR\] syslog at \S+ cannot be reached: .*; lines are lost until it can", server.err)
    assert len(said) == 1, server.err


def test_a_syslog_that_comes_back_is_used_again(serve: Serve, monkeypatch: pytest.MonkeyPatch, write) -> None:
    port = free_port()
    # A test should not take five seconds.
    write("conf.py", "from oxicorn import syslog as module\nmodule.RETRY_S = 0.05\n")
    options = ("--log-syslog", "--log-syslog-to", f"tcp://127.0.0.1:{port}", "-c", str(serve.folder / "conf.py"))
    server = serve("lab", "-w", "1", *options)
    server.wait_log("cannot be reached")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    log = Syslog(listener)

    def arrives() -> bool:
        server.get("/block/8")
        return any("/block/8" in line for line in log.lines)

    eventually(arrives)
    server.wait_log(r"\[INFO\] syslog at 127\.0\.0\.1:\d+ takes lines again; \d+ were lost")
    listener.close()


def test_a_syslog_that_reads_nothing_delays_nobody(serve: Serve) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        where = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        server = serve("lab", "-w", "1", "--log-syslog", "--log-syslog-to", where)
        agent = [("User-Agent", "x" * 8000)]
        with server.connect() as wire:
            for _ in range(1000):
                assert wire.get("/block/1", fields=agent).status == 200
        server.wait_log("it does not take its lines; lines are lost until it can")
