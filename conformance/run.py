#!/usr/bin/env python3
"""Let the Autobahn test suite try the WebSockets of a server. See README.md."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import pathlib
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import outcome
import suite

REPOSITORY = suite.HERE.parent
RESULTS = suite.HERE / "results"
REPORTS = REPOSITORY / "target" / "conformance"
START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 10.0
# What no server writes whose code did what it was meant to.
ALARMS = ("Traceback", "panicked", "Worker died", "was sent SIG")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    oxicorn = shlex.join([sys.executable, "-m", "oxicorn", "-k", "asgi", "--bind", "127.0.0.1:{port}", "echo:app"])
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--agent", default="oxicorn", help="the name of the server in the report")
    add("--command", default=oxicorn, help="how another server is started; {port} stands for its port")
    add("--cases", help="comma-separated patterns, such as 6.*,7.1.1; writes no result")
    add("--venv", type=pathlib.Path, default=REPOSITORY / ".venv-conformance", help="where the suite lives")
    return parser.parse_args()


def free_port() -> int:
    """A port of the loopback that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(command: str, port: int, log: pathlib.Path) -> Iterator[None]:
    """Start the server, and see at the end that it was there until then."""
    words = shlex.split(command.format(port=port))
    with log.open("wb") as output:
        child = subprocess.Popen(words, cwd=suite.HERE, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_DEADLINE_S
        while True:
            if child.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the server does not serve:\n{log.read_text(errors='replace')}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield
        if child.poll() is not None:
            sys.exit(f"the server ended during the run:\n{log.read_text(errors='replace')}")
    finally:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_DEADLINE_S)
        child.kill()
        child.wait()


def page(options: argparse.Namespace, found: outcome.Outcome, verdict: str, took_s: float) -> str:
    """The result as it is written down."""
    now = datetime.datetime.now(datetime.timezone.utc)
    describe = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--exclude=*"]
    checkout = subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip()
    parts = [
        f"# Autobahn test suite, {now:%Y-%m-%d %H:%M} UTC: {options.agent}",
        f"Checkout `{checkout}`, Python {sys.version.split()[0]}; {took_s:.0f} s. {verdict}",
        found.table(),
    ]
    accepted = [f"- **{case.number}**: {found.reasons[case.number]}" for case in found.accepted()]
    if accepted:
        parts += ["## NON-STRICT, with the reason", "\n".join(accepted)]
    if found.failed():
        parts += ["## Failed", "```text\n" + "\n".join(case.story() for case in found.failed()) + "```"]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """The status: 0 when every case passes, 1 otherwise."""
    options = parse_arguments()
    wstest = suite.set_up(options.venv.absolute())
    shares = (options.cases.split(","),) if options.cases else suite.SHARES
    folder = REPORTS / options.agent
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port, log, begun = free_port(), folder / "server.log", time.monotonic()
    with serving(options.command, port, log):
        suite.run(wstest, options.agent, port, shares, folder)
    found = outcome.Outcome(outcome.read(folder), outcome.reasons(suite.HERE / "accepted.txt"))
    lines = log.read_text(errors="replace").splitlines()
    complaints = found.complaints(complete=not options.cases)
    complaints += [f"the server's log says: {line}" for line in lines if any(alarm in line for alarm in ALARMS)]
    passed = not found.failed() and not complaints and bool(found.cases)
    verdict = f"{len(found.cases) - len(found.failed())} of {len(found.cases)} cases pass."
    text = page(options, found, verdict, time.monotonic() - begun)
    print("\n".join([text, *complaints, f"every frame of every case: {folder}"]))
    if not options.cases:
        path = RESULTS / f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d-%H-%M}-{options.agent}.md"
        path.write_text(text)
        print(f"wrote {path}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
