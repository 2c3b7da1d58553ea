#!/usr/bin/env python3
"""What a response in very many small pieces costs the other clients of a worker, while its own client does not read.

A client asks for the pieces and reads none of them. Another client sends one small request after the other meanwhile.
Shown are how long it waited for an answer (median and worst), the CPU time of the server and the growth of its memory.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import pathlib
import socket
import statistics
import time

from harness.cases import APPS
from harness.peers import interpreter
from harness.process import TICKS_PER_SECOND, MeasurementError, Running, free_port, running
from harness.servers import SERVERS

ROWS = ("oxicorn-gthread", "gunicorn-gthread", "oxicorn-asyncio", "oxicorn-uvloop", "uvicorn")
PAGE_KB = 4
# A request that takes longer than this is given up and counts as so long.
LONGEST_S = 60.0
PAUSE_S = 0.01


def resident_kb(server: Running) -> int:
    """The memory of the server with all its processes."""
    _, family = server.cpu_ticks()
    pages = 0
    for pid in family:
        with contextlib.suppress(OSError):
            pages += int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * PAGE_KB


def wait_once(connection: http.client.HTTPConnection) -> float:
    """Seconds until the answer to one small request."""
    begun = time.perf_counter()
    connection.request("GET", "/")
    connection.getresponse().read()
    return time.perf_counter() - begun


def measure(name: str, python: pathlib.Path, stalled: int, seconds: float) -> str:
    """A row of the table."""
    server = SERVERS[name]
    port = free_port()
    module = "pieces" if server.interface == "wsgi" else "asgi_pieces"
    with contextlib.ExitStack() as stack:
        started = stack.enter_context(running(server.command(python, module, port), APPS, core=0))
        started.wait_until_listening(port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_S)
        stack.callback(connection.close)
        wait_once(connection)
        memory, (ticks, _) = resident_kb(started), started.cpu_ticks()
        for _ in range(stalled):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            silent.sendall(b"GET /many HTTP/1.1\r\nHost: bench\r\n\r\n")
        waits = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                waits.append(wait_once(connection))
            except OSError:
                waits.append(LONGEST_S)
                connection.close()
            time.sleep(PAUSE_S)
        cpu_s = (started.cpu_ticks()[0] - ticks) / TICKS_PER_SECOND
        grown = resident_kb(started) - memory
    middle, worst = statistics.median(waits) * 1000, max(waits) * 1000
    return f"| {name} | {middle:,.1f} | {worst:,.0f} | {cpu_s:.2f} | {grown / 1024:+.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=pathlib.Path, required=True, help="where the servers live")
    parser.add_argument("--oxicorn", type=pathlib.Path, help="an interpreter that has the Oxicorn to measure")
    parser.add_argument("--stalled", type=int, default=1, help="clients that do not read")
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    print("| server | wait, median ms | wait, worst ms | CPU s | memory MiB |\n|---|---:|---:|---:|---:|")
    for name in ROWS:
        python = interpreter(options.venv.absolute())
        if SERVERS[name].package == "oxicorn" and options.oxicorn:
            python = options.oxicorn.absolute()
        try:
            print(measure(name, python, options.stalled, options.seconds), flush=True)
        except MeasurementError as error:
            print(f"| {name} | not measured: {error} | | | |", flush=True)


if __name__ == "__main__":
    main()
