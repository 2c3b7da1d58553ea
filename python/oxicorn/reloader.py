"""Watches the files behind the application and reports the first change (`--reload`)."""

from __future__ import annotations

import glob
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

INTERVAL_S = 1.0
"""How often the files are looked at: quick enough for a person, cheap enough for thousands of files."""


class Reloader(threading.Thread):
    """A thread that compares modification times and calls back once."""

    def __init__(self, extra_files: list[str], changed: Callable[[str], object]) -> None:
        """Watch the imported modules and `extra_files`, names or glob patterns."""
        super().__init__(name="oxicorn-reloader", daemon=True)
        self._extra_files = extra_files
        self._changed = changed

    def run(self) -> None:
        """Look at the files until one has changed."""
        known: dict[str, float] = {}
        while True:
            for name in self._files():
                try:
                    modified = Path(name).stat().st_mtime
                except OSError:
                    continue
                if known.setdefault(name, modified) != modified:
                    self._changed(name)
                    return
            time.sleep(INTERVAL_S)

    def _files(self) -> set[str]:
        modules = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        names = {_source(file) for file in modules if file}
        for pattern in self._extra_files:
            # Not `Path.glob`, which takes no absolute pattern.
            names.update(glob.glob(pattern, recursive=True))  # noqa: PTH207
        return names


def _source(file: str) -> str:
    """Return the source file where a module came from its compiled form."""
    return file[:-1] if file.endswith((".pyc", ".pyo")) else file
