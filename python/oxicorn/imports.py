"""Where the server's own imports come from: the installation, never the project's directory.

Python searches the project's directory first. A file `queue.py` there must neither break the server nor, where root
starts it, run as root. `prepare` imports what the server needs, now or later, before that directory is on `sys.path`.
As long as the process belongs to root, everything that is installed is found before what the project has, and modules
of the standard library are found in the standard library or not at all. The same holds for what the server itself
imports later (`load`).

This file is imported while the project's directory may be on the path (`python -m oxicorn`): it uses only modules that
are built in or that every interpreter has loaded by then.
"""

import os
import sys

# `importlib.machinery` has the same classes, but CPython 3.14 imports `warnings` where they are taken from there.
from _frozen_importlib import BuiltinImporter, FrozenImporter
from _frozen_importlib_external import PathFinder
from _thread import _local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_OWN = (
    "oxicorn.app_loader",
    "oxicorn.arbiter",
    "oxicorn.compat",
    "oxicorn.debug",
    "oxicorn.glogging",
    "oxicorn.http",
    "oxicorn.http.body",
    "oxicorn.http.errors",
    "oxicorn.http.message",
    "oxicorn.http.wsgi",
    "oxicorn.instrument.statsd",
    "oxicorn.reloader",
    "oxicorn.sock",
    "oxicorn.workers.base",
    "oxicorn.workers.threads",
    "oxicorn.workers.gasgi",
    "oxicorn.workers.gthread",
    "oxicorn.workers.own",
    "oxicorn.workers.sync",
    "oxicorn.workers.uvicorn",
)

_LATER = (
    "argparse",
    "collections.abc",
    "concurrent.futures.thread",
    "configparser",
    "encodings.idna",  # Every look-up of a host name.
    "encodings.latin_1",
    "encodings.utf_8_sig",
    "faulthandler",
    "gc",
    "grp",
    "linecache",
    "logging.handlers",
    "pkgutil",
    "pwd",
    "shlex",
    "tokenize",
    "traceback",
)
"""Modules of the standard library that it imports itself only when it is used, that the extension asks for by name, and
that those modules of ours need which have to wait for the settings (`oxicorn.config`)."""

_VAIN = {"java", "org"}
"""What the standard library looks for in vain: parts of Jython."""

setproctitle = None
"""The package `setproctitle`, where it is installed."""

_prepared = False
_own_code = _local()


class _Guard:
    """Finds modules in the installation first, while the server imports for itself or the process belongs to root."""

    def __init__(self, path: "list[str]") -> None:
        self.path = path
        self.released = False

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, _target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Answer for whole modules; the parts of a package come from where that is."""
        if path is not None or not self.stands():
            return None
        spec = BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name)
        if spec is None:
            spec = PathFinder.find_spec(name, self.path)
        # A mere directory without a loader may be a part of a package that the project has as well.
        if spec is not None and spec.loader is not None:
            return spec
        if name in sys.stdlib_module_names or name in _VAIN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

    def stands(self) -> bool:
        """Whether the project's directory is not to be trusted now."""
        return getattr(_own_code, "depth", 0) > 0 or (os.geteuid() == 0 and not self.released)


_guard = _Guard([])


def prepare() -> None:
    """Import what the server needs. To be called before the project's directory is put on the path, once."""
    global _prepared, setproctitle
    if _prepared:
        return
    _prepared = True
    _guard.path = list(_installed())
    sys.meta_path.insert(0, _guard)
    for name in _LATER + _OWN:
        load(name)
    # It is not asked for again: what the project has under this name is another module.
    if PathFinder.find_spec("setproctitle", _guard.path) is not None:
        setproctitle = load("setproctitle")


def load(name: str) -> "ModuleType":
    """Import a module that the server itself needs."""
    _own_code.depth = getattr(_own_code, "depth", 0) + 1
    try:
        __import__(name)
    finally:
        _own_code.depth -= 1
    return sys.modules[name]


def installed_path() -> "list[str]":
    """Return where a package counts as installed: not in the project's directory, unless that is trusted now."""
    return [*_guard.path, *_named()] if _guard.stands() else sys.path


def release() -> None:
    """From now on modules are found as Python finds them: the project's code runs with the rights of its own user."""
    _guard.released = True


def trust(trusted: bool) -> None:
    """Say whether the project's code may run in a process that belongs to root (`preload_app`)."""
    _guard.released = trusted


def _installed() -> "Iterator[str]":
    """Yield the entries of `sys.path` that are neither the project's nor named by PYTHONPATH."""
    library = os.path.dirname(os.__file__)
    # What the interpreter itself has put first: the directory of the script, or the current one.
    script = os.path.dirname(os.path.realpath(sys.argv[0])) if sys.argv[0] else ""
    others = {*_named(), script, _current()}
    for entry in sys.path:
        place = os.path.abspath(entry)
        is_library = place == library or place.startswith(library + os.sep)
        if is_library or (entry and place not in others):
            yield entry


def _named() -> "list[str]":
    """Return what PYTHONPATH names, but for the current directory."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [os.path.abspath(entry) for entry in entries if os.path.isabs(entry) and entry != _current()]


def _current() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""  # It is gone.
