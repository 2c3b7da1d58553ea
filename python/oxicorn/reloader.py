"""Tells the watcher of `--reload` which files the application is made of (`crates/python/src/reload`)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, SourceFileLoader, SourcelessFileLoader
from typing import Any

#: What each loader calls before it reads its file.
_FIRST_STEPS = [
    (SourceFileLoader, "path_stats"),
    (SourcelessFileLoader, "get_code"),
    (ExtensionFileLoader, "create_module"),
]


def watch_imports(note: Callable[[str], object]) -> None:
    """Report the files of the modules that there are and, from now on, every file before the importer reads it.

    Any later look at a file could come after a change that the imported module does not have.
    """
    note_modules(note)
    for loader, name in _FIRST_STEPS:
        setattr(loader, name, _reporting(getattr(loader, name), note))


def _reporting(original: Callable[..., Any], note: Callable[[str], object]) -> Callable[..., Any]:
    def first_step(self: Any, *args: Any) -> Any:
        note(self.path)
        return original(self, *args)

    return first_step


def note_modules(note: Callable[[str], object]) -> None:
    """Report the files of all modules: loaders of other makers have brought some of them."""
    for module in list(sys.modules.values()):
        file = _file(module)
        if file is not None:
            note(file[:-1] if file.endswith((".pyc", ".pyo")) else file)


def _file(module: Any) -> str | None:
    """Return a module's file. What is not a module may raise anything, and may lie about its class."""
    try:
        file = module.__file__
        return file if issubclass(type(file), str) else None
    except BaseException:
        return None
