"""Errors of the operator or of the application's code, told without the server's own frames."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import traceback
from pathlib import Path

_LIBRARIES = tuple(
    dict.fromkeys(
        [
            str(Path(__file__).parent),
            *site.getsitepackages(),
            site.getusersitepackages(),
            *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        ]
    )
)


class AppError(Exception):
    """The application cannot be served: what is wrong, what may help, and the worker's exit status."""

    def __init__(self, message: str, hint: str | None = None, *, exit_code: int = 4) -> None:
        """Join the message and its hint into one text."""
        super().__init__(message if hint is None else f"{message}\n  hint: {hint}")
        self.exit_code = exit_code


class SettingError(RuntimeError):
    """A setting that only Python can make sense of, and cannot; the message names it."""


def is_library(filename: str) -> bool:
    """Whether code in this file is not the user's: Oxicorn, the standard library, installed packages."""
    return filename.startswith(("<frozen ", *_LIBRARIES))


def user_traceback(error: BaseException) -> str:
    """Format `error` with its causes, keeping the frames of the user's files and the one that raised."""
    report = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    pending: list[traceback.TracebackException | None] = [report]
    while pending:
        part = pending.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        part.stack = _user_frames(part.stack)
        pending += [part.__cause__, part.__context__]
    return "".join(report.format()).rstrip("\n")


def _user_frames(stack: traceback.StackSummary) -> traceback.StackSummary:
    frames = [frame for frame in stack if not is_library(frame.filename)]
    last = stack[-1] if stack else None
    if last is not None and last not in frames and not last.filename.startswith("<frozen "):
        # The exception was raised inside a library: where, belongs to the story.
        frames.append(last)
    return traceback.StackSummary.from_list(frames)


def place(error: BaseException) -> str:
    """Return `file:line` of the innermost frame of the user's code, or of the syntax error."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        if not is_library(frame.filename):
            return f"{_short(frame.filename)}:{frame.lineno}"
    return "library code"


def _short(filename: str) -> str:
    """Return the path relative to the current directory where it lies below it."""
    try:
        return str(Path(filename).relative_to(Path.cwd()))
    except (OSError, ValueError):
        return filename


def search_path() -> str:
    """Say where modules of the user are looked for: the directories on `sys.path` that are not libraries."""
    entries = dict.fromkeys(entry or "." for entry in sys.path if not is_library(entry))
    return ", ".join(filter(None, map(_searched, entries)))


def _searched(entry: str) -> str:
    try:
        if not Path(entry).is_dir():
            return ""
        readable = os.access(entry, os.R_OK | os.X_OK)
    except OSError:
        readable = False
    # After `--user` a directory that root could read is a common reason.
    return entry if readable else f"{entry}, which this user may not read"


class ConfigError(Exception):
    """A mistake in the configuration of an embedding application."""


class HaltServer(BaseException):
    """Gunicorn's way to stop the arbiter; here a name for `except` clauses."""

    def __init__(self, reason: str, exit_status: int = 1) -> None:
        """Keep the reason and the exit status."""
        super().__init__(reason, exit_status)
        self.reason, self.exit_status = reason, exit_status


AppImportError = AppError
