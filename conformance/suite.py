"""The Autobahn suite: an environment of CPython 2.7 to run it in, and its fuzzing client."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
# The last release that makes environments for Python 2.7. It runs on any Python 3 that we support.
VIRTUALENV = "virtualenv==20.21.1"
# The suite is one thread that mostly computes, and compression is nearly all of the work: four parts of about equal
# length.
SHARES = (
    ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.1.*", "12.2.*", "12.4.*", "13.2.*"],
    ["12.3.*", "12.5.*"],
    ["13.1.*", "13.3.*", "13.7.*"],
    ["13.4.*", "13.5.*", "13.6.*"],
)
# A complete run takes some minutes on an idle machine, and half an hour on one that is busy.
DEADLINE_S = 7200


def find_python27() -> str:
    """The interpreter that the suite needs; ends the program with advice when there is none."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    candidates = [os.environ.get("PYTHON27"), shutil.which("python2.7")]
    candidates += [str(path) for path in sorted(pyenv.glob("versions/2.7*/bin/python2.7"), reverse=True)]
    for candidate in filter(None, candidates):
        # A shim of pyenv is on PATH also where no version stands behind it.
        asked = subprocess.run([candidate, "-c", "import ssl, zlib"], capture_output=True, check=False)
        if asked.returncode == 0:
            return candidate
    sys.exit(
        "The Autobahn test suite runs on CPython 2.7 only, and there is none: not in $PYTHON27, not as python2.7 "
        f"on PATH, not under {pyenv}/versions. `pyenv install 2.7.18` builds one."
    )


def set_up(environment: pathlib.Path) -> pathlib.Path:
    """Make the environment unless it is there and complete; its `wstest`."""
    wstest = environment / "bin" / "wstest"
    done = environment / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if done.exists() and done.read_text() == wanted:
        return wstest
    python27 = find_python27()
    print(f"installing the Autobahn suite into {environment} for {python27}", file=sys.stderr, flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    maker = environment / "maker"
    venv.create(maker, with_pip=True)
    for command in (
        [maker / "bin" / "python", "-m", "pip", "install", "--quiet", VIRTUALENV],
        [maker / "bin" / "virtualenv", "--quiet", "--python", python27, environment],
        [environment / "bin" / "pip", "install", "--quiet", "--no-python-version-warning", "-r", REQUIREMENTS],
    ):
        subprocess.run([str(word) for word in command], check=True)
    done.write_text(wanted)
    return wstest


def _specification(agent: str, port: int, cases: list[str], folder: pathlib.Path) -> pathlib.Path:
    path = folder / "fuzzingclient.json"
    server = {"agent": agent, "url": f"ws://127.0.0.1:{port}"}
    path.write_text(
        json.dumps(
            {
                "outdir": str(folder),
                "servers": [server],
                "cases": cases,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
        )
    )
    return path


def run(wstest: pathlib.Path, agent: str, port: int, shares: Sequence[list[str]], folder: pathlib.Path) -> None:
    """Run every share of the cases at once; the reports are left in a folder for each of them."""
    started = []
    for number, cases in enumerate(shares):
        own = folder / f"share-{number}"
        own.mkdir(parents=True)
        with (own / "wstest.log").open("wb") as log:
            command = [str(wstest), "--mode", "fuzzingclient", "--spec", str(_specification(agent, port, cases, own))]
            started.append(subprocess.Popen(command, cwd=own, stdout=log, stderr=subprocess.STDOUT))
    try:
        for child in started:
            child.wait(DEADLINE_S)
    finally:
        for child in started:
            child.kill()
            child.wait()
