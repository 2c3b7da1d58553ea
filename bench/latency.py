#!/usr/bin/env python3
"""How long quick requests take beside slow ones: four workers of two threads, 2 % of the requests hold a thread for
100 ms, sent at 70 % of the rate that the server can bear, at a constant rate (an open loop). See README.md.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import sys

from apps.mixed import BLOCK_S
from harness.cases import APPS
from harness.open_loop import Mixture, ideal, saturate, send_at
from harness.peers import interpreter
from harness.process import MeasurementError, free_port, running

WORKERS, THREADS = 4, 2
MIXTURE = Mixture(one_in=50)
SHARE = 0.7
# Twice as many clients as threads: enough to keep all of them busy.
CLIENTS = 2 * WORKERS * THREADS
# What a quick request takes in the ideal queue.
QUICK_S = 0.0003

# Of peers without threads in their workers the processes stand alone.
COMMANDS = {
    "oxicorn-gthread": "{bin}/python -m oxicorn -k gthread --threads 2 -w 4 -b 127.0.0.1:{port} mixed:app",
    "oxicorn-sync": "{bin}/python -m oxicorn -k sync -w 8 -b 127.0.0.1:{port} mixed:app",
    "gunicorn-gthread": "{bin}/python -m gunicorn -k gthread --threads 2 -w 4 -b 127.0.0.1:{port} mixed:app",
    "granian": "{bin}/python -m granian --interface wsgi --http 1 --no-ws --workers 4 --blocking-threads 2"
    " --host 127.0.0.1 --port {port} mixed:app",
    "peregrine": "{bin}/peregrine --workers 4 --host 127.0.0.1 --port {port} mixed:app",
    "weft": "{bin}/weft --workers 4 --host 127.0.0.1 --port {port} mixed:app",
    "uwsgi": "{bin}/uwsgi --http 127.0.0.1:{port} --http-keepalive=60 --processes 4"
    " --threads 2 --disable-logging --need-app --die-on-term --module mixed:app",
}


def percentile(values: list[float], share: float) -> float:
    """In milliseconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3


def measure(command: str, folder: pathlib.Path, seconds: float) -> tuple[float, float, float, float]:
    """The rate that was sent, the median and p99 of the quick requests, and the p99 of the ideal queue."""
    port = free_port()
    words = command.format(bin=folder / "bin", port=port).split()
    with running(words, APPS, core=0) as started:
        started.wait_until_listening(port)
        try:
            saturate(port, MIXTURE, CLIENTS, 1.0)
            rate = SHARE * saturate(port, MIXTURE, CLIENTS, seconds)
            found = send_at(port, MIXTURE, rate, seconds)
        except MeasurementError as error:
            raise MeasurementError(f"{error}\n{started.log_tail()}") from error
    count = int(rate * seconds)
    best = ideal(MIXTURE, rate, count, WORKERS * THREADS, QUICK_S, BLOCK_S)
    return rate, percentile(found.quick, 0.5), percentile(found.quick, 0.99), percentile(best, 0.99)


def main() -> int:
    """0, or 1 where a server could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=pathlib.Path, required=True, help="the environment with the servers")
    parser.add_argument("--servers", default=",".join(COMMANDS), help="comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    folder = interpreter(options.venv.absolute()).parent.parent
    os.sched_setaffinity(0, {1})
    print("| server | requests/s sent | p50, ms | p99, ms | p99 of the ideal queue, ms |\n|---|---:|---:|---:|---:|")
    failed = False
    for name in options.servers.split(","):
        try:
            rounds = [measure(COMMANDS[name], folder, options.seconds) for _ in range(options.rounds)]
        except MeasurementError as error:
            print(f"| {name} | not measured: {str(error).splitlines()[0]} |||", flush=True)
            print(error, file=sys.stderr)
            failed = True
            continue
        rate, middle, high, best = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"| {name} | {rate:,.0f} | {middle:.2f} | {high:.2f} | {best:.2f} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
