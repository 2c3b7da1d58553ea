#!/usr/bin/env python3
"""Measure Oxicorn beside its peers: CPU per request, and requests per second. See README.md."""

from __future__ import annotations

import argparse
import collections
import os
import pathlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence

from harness import machine, peers, report
from harness.cases import BENCH, CASES, Case
from harness.load import Load
from harness.measure import Plan, measure
from harness.process import MeasurementError
from harness.servers import SERVERS, Server

DEFAULT_ENVIRONMENT = peers.REPOSITORY / ".venv-bench"
DEFAULT_OUTPUT = BENCH / "results"
WARMUP_S = 1
# A server that failed this often on a case is not tried on it again: it may take its whole deadline to fail.
GIVE_UP_AFTER = 2


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = [name for name in text.split(",") if name]
        unknown = [name for name in chosen if name not in known]
        if unknown or not chosen:
            raise argparse.ArgumentTypeError(f"{text!r}: choose from {','.join(known)}")
        return chosen

    return parse


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number above 0 is needed")
    return int(text)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--setup", action="store_true", help="first install the peers and this checkout's Oxicorn")
    add("--setup-only", action="store_true", help="install, and measure nothing")
    add("--venv", type=pathlib.Path, default=DEFAULT_ENVIRONMENT, help="where the servers live")
    add(
        "--oxicorn",
        type=pathlib.Path,
        metavar="PYTHON",
        help="an interpreter that has Oxicorn (default: the one in --venv)",
    )
    add("--servers", type=_names(list(SERVERS)), default=list(SERVERS), help="comma-separated")
    add("--cases", type=_names(list(CASES)), default=list(CASES), help="comma-separated")
    add("--rounds", type=_positive, default=5)
    add("--seconds", type=_positive, default=4, help="length of a window")
    add("--connections", type=_positive, default=32)
    add("--server-core", type=int, default=0)
    add("--client-core", type=int, default=1)
    add("--output", type=pathlib.Path, help=f"folder for the results (default: {DEFAULT_OUTPUT})")
    add("--gate", action="store_true", help="end with status 1 when a promise is broken")
    add("--quick", action="store_true", help="one round of one second; writes no results by default")
    return parser.parse_args(arguments)


def refuse_bad_machine(options: argparse.Namespace) -> None:
    """End with a clear message where a measurement would mean nothing."""
    if missing := peers.missing_tools():
        sys.exit(f"missing: {' '.join(missing)} (Debian: apt-get install {' '.join(missing)})")
    if options.server_core == options.client_core:
        sys.exit("--server-core and --client-core must differ, or the client slows the server")
    if absent := {options.server_core, options.client_core} - os.sched_getaffinity(0):
        sys.exit(f"core {min(absent)} is not available to this process")


def interpreter_of(server: Server, options: argparse.Namespace) -> pathlib.Path:
    """The Python that runs a server."""
    if server.package == "oxicorn" and options.oxicorn:
        return pathlib.Path(options.oxicorn).absolute()
    return peers.interpreter(options.venv.absolute())


def shown(server: Server) -> str:
    """The command line for the report, without what differs from run to run."""
    words = server.command(pathlib.Path("python"), "APP", 8000)
    return " ".join(f'"{word}"' if " " in word else pathlib.Path(word).name for word in words)


def new_results(options: argparse.Namespace) -> report.Results:
    """The facts of a run before its first sample; a failure for every server that is absent."""
    results = report.Results(
        machine=machine.describe(),
        options={
            "rounds": f"{options.rounds} x {options.seconds} s, after {WARMUP_S} s of warm-up",
            "connections": str(options.connections),
            "pinned to": f"server: core {options.server_core}, client: core {options.client_core}",
        },
        servers=options.servers,
        cases=options.cases,
        versions={},
        commands={name: shown(SERVERS[name]) for name in options.servers},
    )
    for name in options.servers:
        server = SERVERS[name]
        python = interpreter_of(server, options)
        if found := peers.version(python, server.package):
            results.versions[name] = f"{found}, {peers.python_version(python)}"
        else:
            reason = peers.why_missing(options.venv, python, server.package)
            results.failures.append(report.Failure(name, None, None, reason))
    return results


def schedule(rounds: int, servers: Sequence[str], cases: Sequence[str]) -> Iterator[tuple[int, Case, Server]]:
    """Every server once a round in each case; the order rotates, so that none is always first."""
    for number in range(rounds):
        start = number % max(1, len(servers))
        for case in cases:
            for name in [*servers[start:], *servers[:start]]:
                if SERVERS[name].serves(CASES[case]):
                    yield number + 1, CASES[case], SERVERS[name]


def measure_all(options: argparse.Namespace, results: report.Results) -> None:
    """Run the schedule; what fails is noted and the rest goes on."""
    failed: collections.Counter[tuple[str, str]] = collections.Counter()
    plan = Plan(
        server_core=options.server_core,
        warmup=Load(options.connections, WARMUP_S),
        load=Load(options.connections, options.seconds),
    )
    installed = [name for name in options.servers if name in results.versions]
    for number, case, server in schedule(options.rounds, installed, options.cases):
        if failed[server.name, case.name] >= GIVE_UP_AFTER:
            continue
        label = f"round {number}/{options.rounds}  {case.name:12}  {server.name:16}"
        try:
            sample = measure(server, interpreter_of(server, options), case, plan, number)
        except MeasurementError as failure:
            results.failures.append(report.Failure(server.name, case.name, number, str(failure)))
            failed[server.name, case.name] += 1
            print(f"{label}  not measured: {failure}", file=sys.stderr, flush=True)
            continue
        results.samples.append(sample)
        numbers = f"{sample.cpu_us:8.1f} µs  {sample.requests_per_s:10,.0f}/s"
        print(f"{label}  {numbers}", file=sys.stderr, flush=True)


def write(results: report.Results, folder: pathlib.Path) -> None:
    """Leave the page and the document under the date of the run."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^0-9]+", "-", results.machine["date"]).strip("-")
    for suffix, text in (("md", report.markdown(results)), ("json", report.document(results))):
        path = folder / f"{stem}.{suffix}"
        path.write_text(text)
        print(f"wrote {path}", file=sys.stderr)


def main() -> int:
    """The status: 0, 1 when nothing was measured or --gate found a broken promise, 130 by ^C."""
    options = parse_arguments()
    if options.quick:
        options.rounds = options.seconds = 1
    if options.setup or options.setup_only:
        peers.set_up(options.venv.absolute(), with_oxicorn=options.oxicorn is None)
    if options.setup_only:
        return 0
    refuse_bad_machine(options)
    # wrk inherits this, and the harness itself stays off the server's core, too.
    os.sched_setaffinity(0, {options.client_core})
    results = new_results(options)
    try:
        measure_all(options, results)
    except KeyboardInterrupt:
        print("interrupted: nothing is written", file=sys.stderr)
        return 130
    print(report.markdown(results))
    output = options.output or (None if options.quick else DEFAULT_OUTPUT)
    if output and results.samples:
        write(results, output)
    verdicts = report.judge(results)
    gate_broken = options.gate and not (verdicts and all(kept for _, kept in verdicts))
    return 1 if gate_broken or not results.samples else 0


if __name__ == "__main__":
    sys.exit(main())
