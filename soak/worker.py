"""The server under the soak: one worker, and what the kernel knows of it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

APPS = pathlib.Path(__file__).resolve().parent / "apps"
START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 30.0


def free_port() -> int:
    """A port of the loopback that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Worker:
    """The only worker of a server."""

    def __init__(self, arbiter: subprocess.Popen[bytes], port: int) -> None:
        self.arbiter = arbiter
        self.address = ("127.0.0.1", port)
        self.pid = self._only_child()

    def _only_child(self) -> int:
        listed = pathlib.Path(f"/proc/{self.arbiter.pid}/task/{self.arbiter.pid}/children").read_text().split()
        if len(listed) != 1:
            raise RuntimeError(f"one worker is wanted, there are {listed}")
        return int(listed[0])

    def check(self) -> None:
        """Refuse a worker that was replaced: its memory would be another's."""
        if self._only_child() != self.pid:
            raise RuntimeError(f"worker {self.pid} died during the soak")

    def rss_kib(self) -> int:
        """Its resident memory."""
        for line in pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1])
        raise RuntimeError("the kernel tells no Rss")

    def open_files(self) -> int:
        """How many descriptors it holds."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_ticks(self) -> int:
        """Its CPU time, in ticks of the kernel."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


@contextlib.contextmanager
def serving(application: str, options: list[str], log: pathlib.Path) -> Iterator[Worker]:
    """A server with one worker, which writes what it has to say into a file."""
    port = free_port()
    place = ["--workers", "1", "--bind", f"127.0.0.1:{port}", "--log-level", "critical"]
    command = [sys.executable, "-m", "oxicorn", *options, *place, application]
    with log.open("wb") as output:
        arbiter = subprocess.Popen(command, cwd=APPS, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_it_answers(arbiter, port, log)
        yield Worker(arbiter, port)
    finally:
        arbiter.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            arbiter.wait(STOP_DEADLINE_S)
        arbiter.kill()
        arbiter.wait()


def _wait_until_it_answers(arbiter: subprocess.Popen[bytes], port: int, log: pathlib.Path) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while arbiter.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: soak.example\r\nConnection: close\r\n\r\n")
            if b" 200 " in connection.recv(4096):
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server does not serve:\n{log.read_text(errors='replace')}")
