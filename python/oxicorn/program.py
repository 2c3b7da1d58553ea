"""The command `oxicorn run`: starts a program in whose process, and in whose children, Oxicorn answers the names of
other servers.

The program is executed as it is, by its own interpreter. What it starts with is one more directory on PYTHONPATH.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

_USAGE = """\
usage: oxicorn run [--] COMMAND …

Runs a program that starts its server itself, with Oxicorn in the place of uvicorn, Gunicorn, Hypercorn, Granian and
Waitress:

    oxicorn run -- python -m shop --port 8000
    oxicorn run -- mlflow server
"""

_SERVERS = {"granian", "gunicorn", "hypercorn", "uvicorn"}
"""Commands that need not be installed."""


def run(words: list[str]) -> NoReturn:
    """Become the program that `words` start."""
    if words[:1] == ["--"]:
        words = words[1:]
    elif words[:1] in (["-h"], ["--help"]):
        sys.stdout.write(_USAGE)
        sys.exit(0)
    if not words or words[0].startswith("-"):
        what = f"{words[0]} stands before the command" if words else "no command was named"
        sys.stderr.write(
            f"error: oxicorn run: {what}\n"
            "  hint: oxicorn run -- COMMAND …; an application in a module `run` is run:application\n"
        )
        sys.exit(2)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_site(), os.environ.get("PYTHONPATH")]))
    command = _found(words)
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.stderr.write(f"error: oxicorn run: {words[0]}: {error.strerror}\n")
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


def _site() -> str:
    return str(Path(__file__).parent / "run_site")


def _found(words: list[str]) -> list[str]:
    """Return the command with the path of its program: beside this interpreter first, then on PATH."""
    name, *rest = words
    if os.sep in name:
        return words
    beside = Path(sys.executable).with_name(name)
    if os.access(beside, os.X_OK):
        return [str(beside), *rest]
    found = shutil.which(name)
    if found is not None:
        return [found, *rest]
    if name in ("python", "python3"):
        return [sys.executable, *rest]
    return [sys.executable, "-m", name, *rest] if name in _SERVERS else words
