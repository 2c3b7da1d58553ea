#!/usr/bin/env python3
"""Look whether a worker's memory grows over a million requests, and what idle WebSockets cost. See README.md."""

from __future__ import annotations

import argparse
import datetime
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile

from scenarios import SCENARIOS, Finding, idle_websockets, soak

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--scenarios", default=",".join(SCENARIOS), help="comma-separated (default: all)")
    add("--requests", type=int, default=1_000_000, help="for each scenario of requests")
    add("--connections", type=int, default=5000, help="for the scenario of WebSockets")
    add("--no-result", action="store_true", help="write no file")
    options = parser.parse_args()
    options.scenarios = options.scenarios.split(",")
    if unknown := set(options.scenarios) - SCENARIOS.keys():
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    return options


def page(findings: list[Finding]) -> str:
    """The result as it is written down."""
    now = datetime.datetime.now(datetime.timezone.utc)
    describe = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude=*"]
    checkout = subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip()
    parts = [
        f"# Soak of {now:%Y-%m-%d %H:%M} UTC",
        f"Checkout `{checkout}`, {platform.python_implementation()} {platform.python_version()}, {platform.release()}.",
    ]
    for finding in findings:
        rows = [f"| {name} | {value} |" for name, value in finding.facts]
        verdict = "passed" if finding.passed else "FAILED"
        parts += [f"## {finding.name}: {verdict}", "\n".join(["| fact | value |", "|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """The status: 0 when nothing grew and nothing broke."""
    options = parse_arguments()
    # Both ends of every connection need a descriptor; the server inherits the limit.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    findings = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        for name in options.scenarios:
            scenario = SCENARIOS[name]
            number = options.connections if scenario.run is idle_websockets else options.requests
            findings.append(soak(scenario, number, pathlib.Path(folder)))
            print(page(findings[-1:]), flush=True)
    if not options.no_result:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d-%H-%M}.md"
        path.write_text(page(findings))
        print(f"wrote {path}")
    return 0 if all(finding.passed for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
