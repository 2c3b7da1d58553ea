#!/usr/bin/env python3
"""What a server takes while it does little: memory of one and four workers with a Django project, memory for each idle
connection and WebSocket, and the time from the start of the process to the first answer. See README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import pathlib
import socket
import statistics
import sys
import time

from harness.broadcast import HANDSHAKE
from harness.cases import APPS
from harness.load import ANSWER_TIMEOUT_S
from harness.peers import interpreter
from harness.process import MeasurementError, Running, free_port, running

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PROJECT, PLAIN, SOCKET = "django_orm", "asgi_hello", "ws_echo"
START_DEADLINE_S = 30.0
# Time for what a server does after its first answers, such as booting the other workers.
SETTLE_S = 1.5

# {workers} and {app} are filled in; {preload} where the server has it.
WSGI = {
    "oxicorn": "{bin}/python -m oxicorn -k gthread --threads 2 -w {workers} {preload} -b 127.0.0.1:{port} {app}:app",
    "gunicorn": "{bin}/python -m gunicorn -k gthread --threads 2 -w {workers} {preload} -b 127.0.0.1:{port} {app}:app",
    "granian": "{bin}/python -m granian --interface wsgi --http 1 --no-ws --workers {workers} --blocking-threads 2"
    " --host 127.0.0.1 --port {port} {app}:app",
    "peregrine": "{bin}/peregrine --workers {workers} --host 127.0.0.1 --port {port} {app}:app",
    "weft": "{bin}/weft --workers {workers} --host 127.0.0.1 --port {port} {app}:app",
}
PRELOADING = ("oxicorn", "gunicorn")
ASGI = {
    "oxicorn": "{bin}/python -m oxicorn -k asgi -w 1 -b 127.0.0.1:{port} {app}:app",
    "uvicorn": "{bin}/python -m uvicorn --http httptools --loop uvloop --ws websockets --no-access-log"
    " --host 127.0.0.1 --port {port} {app}:app",
    "granian": "{bin}/python -m granian --interface asgi --loop uvloop --workers 1"
    " --host 127.0.0.1 --port {port} {app}:app",
    "peregrine": "{bin}/peregrine --host 127.0.0.1 --port {port} {app}:app",
    "weft": "{bin}/weft --workers 1 --host 127.0.0.1 --port {port} {app}:app",
}


@dataclasses.dataclass(frozen=True)
class Memory:
    """Of a server with all its processes, in bytes. PSS counts a page that several share in parts."""

    resident: int
    proportional: int


def memory(server: Running) -> Memory:
    """What the kernel says now."""
    _, family = server.cpu_ticks()
    found = {"Rss": 0, "Pss": 0}
    for pid in family:
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, amount = line.partition(":")
                if name in found:
                    found[name] += int(amount.split()[0]) * 1024
    return Memory(found["Rss"], found["Pss"])


def answer(wire: socket.socket) -> None:
    """Send one request and see that its answer begins well."""
    wire.sendall(REQUEST)
    status = wire.recv(65536)
    if not status.startswith(b"HTTP/1.1 200 "):
        raise MeasurementError(f"answers wrongly: {status[:200]!r}")


def first_answer(port: int) -> None:
    """Return as soon as a request is answered."""
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_S) as wire:
                return answer(wire)
        except OSError as error:
            if time.monotonic() > deadline:
                raise MeasurementError(f"did not answer within {START_DEADLINE_S:.0f} s") from error
            time.sleep(0.002)


def open_idle(port: int, first: bytes) -> socket.socket:
    """A connection that has had one answer and stays."""
    wire = socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_S)
    wire.sendall(first)
    if not wire.recv(65536).startswith(b"HTTP/1.1 "):
        raise MeasurementError("keeps no connection")
    return wire


def project(command: str, folder: pathlib.Path, workers: int, preload: bool) -> tuple[float, Memory]:
    """Seconds to the first answer, and the memory when all workers have served."""
    port = free_port()
    words = command.format(
        bin=folder / "bin", port=port, workers=workers, app=PROJECT, preload="--preload" if preload else ""
    ).split()
    begun = time.monotonic()
    with running(words, APPS, core=0) as server:
        first_answer(port)
        took = time.monotonic() - begun
        for _ in range(20 * workers):
            first_answer(port)
        time.sleep(SETTLE_S)
        return took, memory(server)


def idle(command: str, folder: pathlib.Path, count: int, app: str) -> float:
    """Bytes of the server for each of `count` idle connections. The kernel's part is not counted."""
    port = free_port()
    first = HANDSHAKE if app == SOCKET else REQUEST
    with running(command.format(bin=folder / "bin", port=port, app=app).split(), APPS, core=0) as server:
        server.wait_until_listening(port)
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(open_idle(port, first))
            time.sleep(SETTLE_S)
            before = memory(server)
            for _ in range(count):
                stack.enter_context(open_idle(port, first))
            time.sleep(SETTLE_S)
            return (memory(server).resident - before.resident) / count


def tell_projects(options: argparse.Namespace, folder: pathlib.Path) -> bool:
    """The table of start-up and of workers with a project. Says whether all could be measured."""
    print("| server | workers | preloaded | first answer, s | RSS, MB | PSS, MB |\n|---|---:|---|---:|---:|---:|")
    whole = True
    rows = [(name, workers, False) for name in WSGI for workers in (1, 4)]
    rows += [(name, workers, True) for name in PRELOADING for workers in (1, 4)]
    for name, workers, preload in rows:
        try:
            found = [project(WSGI[name], folder, workers, preload) for _ in range(options.rounds)]
        except MeasurementError as error:
            print(f"| {name} | {workers} | {'yes' if preload else 'no'} | not measured: {error} |||")
            whole = False
            continue
        took = statistics.median(seconds for seconds, _ in found)
        resident = statistics.median(memory.resident for _, memory in found) / 1e6
        proportional = statistics.median(memory.proportional for _, memory in found) / 1e6
        shown = f"{took:.2f} | {resident:.1f} | {proportional:.1f}"
        print(f"| {name} | {workers} | {'yes' if preload else 'no'} | {shown} |", flush=True)
    return whole


def tell_idle(options: argparse.Namespace, folder: pathlib.Path) -> bool:
    """The table of idle connections. Says whether all could be measured."""
    print("\n| server | bytes an idle connection | bytes an idle WebSocket |\n|---|---:|---:|")
    whole = True
    for name, command in ASGI.items():
        cells = []
        for app in (PLAIN, SOCKET):
            try:
                cells.append(f"{idle(command, folder, options.connections, app):,.0f}")
            except (MeasurementError, OSError) as error:
                cells.append(f"not measured: {error}")
                whole = False
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return whole


def main() -> int:
    """0, or 1 where a server could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=pathlib.Path, required=True, help="the environment with the servers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=2_000, help="how many idle ones")
    options = parser.parse_args()
    folder = interpreter(options.venv.absolute()).parent.parent
    os.sched_setaffinity(0, {1})
    told = [tell_projects(options, folder), tell_idle(options, folder)]
    return int(not all(told))


if __name__ == "__main__":
    sys.exit(main())
