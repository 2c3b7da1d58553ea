"""A server as processes: started on its core, watched in /proc, stopped with all its children."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 5.0
LOG_TAIL_LINES = 12
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# What a server may inherit. Settings in the caller's environment (WEB_CONCURRENCY, GUNICORN_CMD_ARGS,
# GRANIAN_*, PYTHON* …) would make the measurement depend on the shell.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")


class MeasurementError(Exception):
    """Why a server has no number: its message stands in the report."""


def parse_stat(line: str) -> tuple[int, int]:
    """The parent and the CPU ticks of a process, from a line of /proc/PID/stat.

    The ticks are utime + stime of all its threads plus cutime + cstime, those of the children which
    it has waited for: what a child did before it ended is not lost. The name of a process may hold
    spaces and parentheses, so the fields are counted from the last parenthesis.
    """
    fields = line.rpartition(")")[2].split()
    return int(fields[1]), sum(int(field) for field in fields[11:15])


def _processes() -> dict[int, tuple[int, int]]:
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            # A process may end between the listing and the reading.
            with contextlib.suppress(OSError):
                found[int(entry.name)] = parse_stat((entry / "stat").read_text())
    return found


def _family(root: int, processes: dict[int, tuple[int, int]]) -> set[int]:
    family = {root} & processes.keys()
    grown = True
    while grown:
        children = {pid for pid, (parent, _) in processes.items() if parent in family} - family
        family |= children
        grown = bool(children)
    return family


class Running:
    """A server that was started and has not been stopped."""

    def __init__(self, child: subprocess.Popen[bytes], log: pathlib.Path) -> None:
        self.child = child
        self.log = log

    def cpu_ticks(self) -> tuple[int, frozenset[int]]:
        """The CPU ticks of the master and all its descendants so far, and who they are."""
        processes = _processes()
        family = _family(self.child.pid, processes)
        return sum(processes[pid][1] for pid in family), frozenset(family)

    def log_tail(self) -> str:
        """The last lines that the server printed."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def wait_until_listening(self, port: int) -> None:
        """Return when the port takes connections; whether the application is loaded may be later."""
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                status = self.child.returncode
                raise MeasurementError(f"ended with status {status} at start:\n{self.log_tail()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        raise MeasurementError(f"did not listen within {START_DEADLINE_S:.0f} s:\n{self.log_tail()}")

    def stop(self) -> None:
        """Ask the master to end, then end by force whatever is left of its family."""
        family = _family(self.child.pid, _processes())
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(STOP_DEADLINE_S)
        # The server leads a session of its own, which only its children belong to: a pid that was
        # given to a stranger meanwhile is never hit.
        for pid in family:
            with contextlib.suppress(OSError):
                if os.getsid(pid) == self.child.pid:
                    os.kill(pid, signal.SIGKILL)
        self.child.wait()


@contextlib.contextmanager
def _pinned(core: int) -> Iterator[None]:
    # What is started in here inherits the pinning: no code has to run between fork and exec.
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


@contextlib.contextmanager
def running(command: list[str], directory: pathlib.Path, core: int) -> Iterator[Running]:
    """Start a server on a core, where its threads and children stay, and stop it at the end.

    `{scratch}` in its command line stands for a folder that is removed with it.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        log = pathlib.Path(scratch, "log")
        try:
            with log.open("wb") as output, _pinned(core):
                child = subprocess.Popen(
                    [word.replace("{scratch}", scratch) for word in command],
                    cwd=directory,
                    env={name: os.environ[name] for name in INHERITED if name in os.environ},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise MeasurementError(f"cannot be started: {error}") from error
        server = Running(child, log)
        try:
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """A port of the loopback that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
