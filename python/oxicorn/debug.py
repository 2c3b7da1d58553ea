"""`--spew`: prints every line of Python as it is executed."""

from __future__ import annotations

import linecache
import re
import sys
import threading
from collections.abc import Container
from types import FrameType
from typing import Any


class Spew:
    """A trace function that prints the lines of the modules in `trace_names`, or of all, and the values in them."""

    def __init__(self, trace_names: Container[str] | None = None, show_values: bool = True) -> None:
        """Choose the modules, and whether the values of the names in a line follow it."""
        self.trace_names = trace_names
        self.show_values = show_values

    def __call__(self, frame: FrameType, event: str, _arg: Any) -> Spew:
        """Print the line that `frame` is about to execute."""
        name = frame.f_globals.get("__name__", "[unknown]")
        if event == "line" and (self.trace_names is None or name in self.trace_names):
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals).rstrip()
            # One write, so that the lines of several threads stay whole.
            sys.stdout.write(f"{name}:{frame.f_lineno}: {line}\n{self._values(frame, line)}")
        return self

    def _values(self, frame: FrameType, line: str) -> str:
        if not self.show_values:
            return ""
        known = frame.f_globals | frame.f_locals
        values = [f"{word}={known[word]!r}" for word in re.split(r"\W+", line) if word in known]
        return f"\t{' '.join(values)}\n" if values else ""


def spew(trace_names: Container[str] | None = None, show_values: bool = False) -> None:
    """Trace this thread, and all that start later."""
    trace: Any = Spew(trace_names, show_values)
    threading.settrace(trace)
    sys.settrace(trace)


def unspew() -> None:
    """End the trace."""
    threading.settrace(None)
    sys.settrace(None)
