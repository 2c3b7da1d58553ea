"""The environment that holds the servers: made by --setup, asked for versions by every run."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import venv

from harness.cases import BENCH

REPOSITORY = BENCH.parent
REQUIREMENTS = BENCH / "requirements.txt"

# Prints the version of a package, or fails. An Oxicorn that is run from its source tree has no metadata,
# so the import decides.
_VERSION_OF = """
import importlib, importlib.metadata, sys
try:
    print(importlib.metadata.version(sys.argv[1]))
except importlib.metadata.PackageNotFoundError:
    print(getattr(importlib.import_module(sys.argv[1]), "__version__", "of unknown version"))
"""


def interpreter(environment: pathlib.Path) -> pathlib.Path:
    """The Python of a virtual environment."""
    return environment / "bin" / "python"


def names() -> list[str]:
    """The packages that requirements.txt names."""
    lines = (line.partition("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines())
    return [line for line in lines if line]


def missing_tools() -> list[str]:
    """What has to come from the system's packages and is not there."""
    return [tool for tool in ("wrk", "nginx") if not shutil.which(tool)]


def _log_of(environment: pathlib.Path, package: str) -> pathlib.Path:
    return environment / f"install-{package}.log"


def _install(environment: pathlib.Path, package: str, arguments: list[str]) -> bool:
    command = [str(interpreter(environment)), "-m", "pip", "install", "--upgrade", *arguments]
    # uwsgi's build obeys UWSGI_*, and takes even an empty profile for a name: measured is its default build.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UWSGI_")}
    with _log_of(environment, package).open("wb") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=clean, check=False)
    if done.returncode == 0:
        _log_of(environment, package).unlink()
    return done.returncode == 0


def set_up(environment: pathlib.Path, with_oxicorn: bool) -> None:
    """Make the environment and install each server by itself: one that fails costs only its row."""
    if python_version(interpreter(environment)) != python_version(pathlib.Path(sys.executable)):
        print(f"creating {environment}", file=sys.stderr)
        venv.create(environment, clear=True, symlinks=True, with_pip=True)
    wanted = {package: [package] for package in names()}
    if with_oxicorn:
        # Without --force-reinstall an Oxicorn of the same version number would stay as it is.
        wanted["oxicorn"] = ["--force-reinstall", "--no-deps", str(REPOSITORY)]
    for package, arguments in wanted.items():
        print(f"installing {package}", file=sys.stderr, flush=True)
        if not _install(environment, package, arguments):
            print(f"  failed, see {_log_of(environment, package)}", file=sys.stderr)


def version(python: pathlib.Path, package: str) -> str | None:
    """The version of a package as its interpreter sees it, or of nginx; None when it is not installed."""
    if package == "nginx":
        asked = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False)
        return asked.stderr.rpartition("/")[2].strip()
    try:
        asked = subprocess.run([str(python), "-c", _VERSION_OF, package], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def python_version(python: pathlib.Path) -> str:
    """`CPython 3.11.7`, or why the interpreter does not run."""
    program = "import platform as p; print(p.python_implementation(), p.python_version())"
    try:
        asked = subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return asked.stdout.strip()


def why_missing(environment: pathlib.Path, python: pathlib.Path, package: str) -> str:
    """One line for the report: how the installation failed, or that there was none."""
    log = _log_of(environment, package)
    if log.exists():
        errors = [line for line in log.read_text(errors="replace").splitlines() if "error:" in line.lower()]
        return f"not installed, pip failed: {errors[0].strip() if errors else log}"
    return f"not installed for {python} (run with --setup)"
