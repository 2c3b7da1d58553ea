"""Watches the files behind the application and reports the first change (`--reload`)."""

from __future__ import annotations

import glob
import sys
import threading
import time
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

INTERVAL_S = 1.0
"""How often the files are looked at: quick enough for a person, cheap enough for thousands of files."""


class Reloader(threading.Thread):
    """A thread that compares modification times and calls back once.

    To be made before the application is imported and started after it: what is saved in between counts
    as a change.
    """

    def __init__(self, extra_files: list[str], changed: Callable[[str], object]) -> None:
        """Watch the imported modules and `extra_files`, names or glob patterns."""
        super().__init__(name="oxicorn-reloader", daemon=True)
        self._extra_files = extra_files
        self._changed = changed
        self._known = _record_imports()
        self._look()

    def run(self) -> None:
        """Look at the files until one has changed."""
        while True:
            name = self._look()
            if name is not None:
                self._changed(name)
                return
            time.sleep(INTERVAL_S)

    def _look(self) -> str | None:
        """Return a file that is not as it was known. One that is not known yet becomes so."""
        for name in self._files():
            try:
                modified = Path(name).stat().st_mtime
            except OSError:
                continue
            if self._known.setdefault(name, modified) != modified:
                return name
        return None

    def _files(self) -> set[str]:
        modules = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
        names = {_source(file) for file in modules if file}
        # A module whose import failed is in no list of modules, and the first to be mended.
        names.update(list(self._known))
        for pattern in self._extra_files:
            # Not `Path.glob`, which takes no absolute pattern.
            names.update(glob.glob(pattern, recursive=True))  # noqa: PTH207
        return names


def _record_imports() -> dict[str, float]:
    """Note, from now on, the modification time that the importer sees of each source file it reads.

    Any later look at a file could come after a change that the imported module does not have.
    """
    known: dict[str, float] = {}
    original = SourceFileLoader.path_stats

    def path_stats(self: SourceFileLoader, path: Any) -> Any:
        stats = original(self, path)
        known[path] = stats["mtime"]
        return stats

    SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign]
    return known


def _source(file: str) -> str:
    """Return the source file where a module came from its compiled form."""
    return file[:-1] if file.endswith((".pyc", ".pyo")) else file
