#!/usr/bin/env python3
"""Compare two builds of Oxicorn by instructions and by CPU time. See README.md, "Two builds".

Instructions are counted by callgrind, in user space only, and do not depend on what else the machine does: a change
of two percent shows. CPU time includes the kernel's share and needs an idle machine.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

from harness.burst import send_bursts
from harness.cases import APPS, CASES, Case
from harness.load import Load
from harness.measure import Plan, measure
from harness.peers import interpreter, python_version
from harness.process import INHERITED, MeasurementError, free_port
from harness.servers import SERVERS, Server

# What is compared: a server's row and the case, which together take about three minutes.
ROWS = (
    ("oxicorn-sync", "hello"),
    ("oxicorn-gthread", "hello"),
    ("oxicorn-sync", "echo"),
    ("oxicorn-uvloop", "asgi_hello"),
    ("oxicorn-uvloop", "asgi_echo"),
    ("oxicorn-uvloop", "asgi_fastapi"),
)
# Instructions of two runs that differ in their number of requests; start and stop cancel out.
FEW, MANY = 200, 1_200
# Requests that are on their way together: each burst is answered before the next is sent, so the turns of the event
# loop are the same in each run.
BURST = 8
# In a file, because a server that sets its title writes over its own command line, where Valgrind would look again.
VALGRIND_OPTIONS = "--trace-children=yes\n--callgrind:callgrind-out-file={scratch}/callgrind.%p\n"
# Hashes of strings decide the layout of dictionaries: without this two runs of one build differ by a percent.
FIXED_HASHES = {"PYTHONHASHSEED": "0"}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("before", type=pathlib.Path, metavar="BEFORE", help="the environment of the one build")
    add("after", type=pathlib.Path, metavar="AFTER", help="the environment of the other build")
    add("--rounds", type=int, default=3, help="windows of CPU time for each build and row; 0 counts instructions only")
    add("--no-instructions", action="store_true", help="measure CPU time only")
    add("--rows", help="only these, as SERVER:CASE,SERVER:CASE")
    return parser.parse_args()


def chosen_rows(text: str | None) -> list[tuple[Server, Case]]:
    """The rows by name."""
    pairs = [tuple(row.split(":", 1)) for row in text.split(",")] if text else list(ROWS)
    try:
        return [(SERVERS[server], CASES[case]) for server, case in pairs]
    except (KeyError, ValueError):
        sys.exit(f"--rows {text}: rows are SERVER:CASE, such as oxicorn-sync:hello")


def count(server: Server, python: pathlib.Path, case: Case, requests: int) -> int:
    """The instructions of a whole life of a server that answers so many requests."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        pathlib.Path(scratch, ".valgrindrc").write_text(VALGRIND_OPTIONS.format(scratch=scratch))
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | FIXED_HASHES
        log = pathlib.Path(scratch, "log")
        with log.open("wb") as output:
            child = subprocess.Popen(
                ["valgrind", "--tool=callgrind", *server.command(python, case.application, port)],
                cwd=APPS,
                env=environment | {"HOME": scratch},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                send_bursts(port, case, requests, BURST)
            except MeasurementError as error:
                raise MeasurementError(f"{error}\n{log.read_text(errors='replace')[-2000:]}") from error
            finally:
                child.send_signal(signal.SIGTERM)
                child.wait(60)
        profiles = [path.read_text() for path in pathlib.Path(scratch).glob("callgrind.*")]
        return sum(int(count) for text in profiles for count in re.findall(r"^totals: (\d+)", text, re.MULTILINE))


def instructions(server: Server, python: pathlib.Path, case: Case) -> float:
    """User instructions for one request."""
    few, many = (count(server, python, case, requests) for requests in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def cpu_us(server: Server, pythons: list[pathlib.Path], case: Case, rounds: int) -> list[list[float]]:
    """CPU time for one request, of both builds in turn."""
    plan = Plan(server_core=0, warmup=Load(32, 1), load=Load(32, 2))
    windows: list[list[float]] = [[], []]
    for number in range(rounds):
        for build in (0, 1) if number % 2 == 0 else (1, 0):
            windows[build].append(measure(server, pythons[build], case, plan, number).cpu_us)
    return windows


def shown(before: float, after: float, digits: int) -> str:
    """Two numbers and their ratio."""
    return f"{before:>10,.{digits}f} {after:>10,.{digits}f} {after / before:>7.3f}"


def main() -> int:
    """0, or 1 where a row could not be measured."""
    options = parse_arguments()
    pythons = [interpreter(folder.absolute()) for folder in (options.before, options.after)]
    if len({python_version(python) for python in pythons}) != 1:
        sys.exit("both builds must run on the same Python")
    missing = [tool for tool in ("valgrind", "wrk") if not shutil.which(tool)]
    if missing:
        sys.exit(f"missing: {' '.join(missing)} (Debian: apt-get install {' '.join(missing)})")
    os.sched_setaffinity(0, {1})
    header = f"{'before':>10} {'after':>10} {'ratio':>7}"
    print(f"{'':34}{'user instructions a request':^29} {'CPU µs a request':^29}\n{'':34}{header} {header}")
    failed = False
    for server, case in chosen_rows(options.rows):
        cells = [f"{server.name + ', ' + case.name:33}"]
        try:
            if not options.no_instructions:
                cells.append(shown(*(instructions(server, python, case) for python in pythons), digits=0))
            if options.rounds:
                windows = cpu_us(server, pythons, case, options.rounds)
                cells.append(shown(*(statistics.median(window) for window in windows), digits=1))
        except MeasurementError as error:
            cells.append(f"not measured: {error}")
            failed = True
        print(" ".join(cells), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
