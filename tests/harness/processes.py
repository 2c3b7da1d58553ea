"""What `/proc` tells about the processes that a test started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from .poll import eventually


def children(pid: int) -> list[int]:
    """The living children of `pid`, zombies left out."""
    found: list[int] = []
    for task in _tasks(pid):
        try:
            listed = (task / "children").read_text()
        except OSError:
            continue
        found.extend(int(child) for child in listed.split())
    return [child for child in found if alive(child)]


def alive(pid: int) -> bool:
    """Whether `pid` runs: it exists and is not a zombie."""
    state = _stat(pid)
    return state is not None and state[0] not in "ZX"


def parent(pid: int) -> int | None:
    """The parent of `pid`, or None when there is no such process."""
    state = _stat(pid)
    return int(state[1]) if state else None


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Hold processes where they are: all that happens meanwhile they find together when they go on."""
    try:
        for pid in pids:
            os.kill(pid, SIGSTOP)
        states = [task / "stat" for pid in pids for task in _tasks(pid)]
        eventually(lambda: all(state.read_text().rpartition(")")[2].split()[0] == "T" for state in states))
        yield
    finally:
        for pid in pids:
            os.kill(pid, SIGCONT)


def cpu_seconds(pid: int) -> float:
    """User and system time that `pid` has used, all its threads together."""
    state = _stat(pid)
    assert state is not None, f"no process {pid}"
    return (int(state[11]) + int(state[12])) / os.sysconf("SC_CLK_TCK")


def memory_kib(pid: int) -> dict[str, int]:
    """The sums of `/proc/PID/smaps_rollup`: `Rss`, `Pss`, `Private_Dirty` and so on, in KiB."""
    sums: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        sums[name] = int(value.split()[0])
    return sums


def status(pid: int, field: str) -> str:
    """One line of `/proc/PID/status`, for instance `Uid` or `Threads`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    raise KeyError(field)


def open_files(pid: int) -> list[str]:
    """What the descriptors of `pid` point to."""
    targets: list[str] = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            targets.append(os.readlink(entry))
        except OSError:
            continue
    return targets


def tcp_sockets(port: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The kernel's lines on a local port by their inode: sockets that listen, and connections.

    By their inode, because the kernel shows a socket twice when others come and go while it is asked.
    """
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [line for line in lines if line[1].endswith(f":{port:04X}")]
    listening = {line[9]: line for line in ours if line[3] == "0A"}
    return listening, {line[9]: line for line in ours if line[3] != "0A"}


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _stat(pid: int) -> list[str] | None:
    """The fields of `/proc/PID/stat` after the name (which may hold blanks and brackets)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()
