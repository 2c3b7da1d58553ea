"""uvicorn's worker classes by name, for classes that extend them: read for what they say, never run."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import pkgutil
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import Any, ClassVar

from oxicorn.workers.base import Worker

_NAMES = ("uvicorn.workers", "uvicorn_worker")
"""The modules that have these classes."""

_given: dict[str, type] = {}
"""Classes that a conf file gives as themselves: a class that a function has made cannot be imported."""


class UvicornWorker(Worker):
    """Stands for uvicorn's class."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "auto", "http": "auto"}


class UvicornH11Worker(UvicornWorker):
    """Stands for uvicorn's class with the parser in Python, which is no choice here."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "asyncio", "http": "auto"}


class UvicornFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports this module under uvicorn's names, whether uvicorn is installed or not.

    It answers imports alone: code that asks `importlib.util.find_spec` whether uvicorn is there is told the truth.
    """

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim the modules with the worker classes, and for their sake a `uvicorn` that is not installed."""
        if fullname in _NAMES and _is_being_imported(fullname):
            return importlib.machinery.ModuleSpec(fullname, self)
        if fullname == "uvicorn" and _is_being_imported("uvicorn.workers") and not _is_installed():
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Return this module, so that classes are the same under all names."""
        if spec.name == "uvicorn":
            return None
        module = sys.modules[__name__]
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give this module its own spec back, which the import machinery has just replaced."""
        spec = module.__spec__
        if spec is not None and spec.loader_state is not None:
            module.__spec__ = spec.loader_state


def _is_installed() -> bool:
    found = importlib.machinery.PathFinder.find_spec("uvicorn")
    return found is not None and found.loader is not None


def _is_being_imported(name: str) -> bool:
    """Whether an import of `name` is under way, as opposed to a question about it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        is_import = code.co_name == "_find_and_load_unlocked" and "importlib._bootstrap" in code.co_filename
        if is_import and frame.f_locals.get("name") == name:
            return True
        frame = frame.f_back
    return False


def install() -> None:
    """Put the finder in place, once."""
    if not any(isinstance(finder, UvicornFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, UvicornFinder())


def withdraw() -> None:
    """Forget what was imported under uvicorn's names, so that an application that asks for uvicorn sees no trace."""
    for name in ("uvicorn", *_NAMES):
        module = sys.modules.get(name)
        if module is sys.modules[__name__] or isinstance(getattr(module, "__loader__", None), UvicornFinder):
            del sys.modules[name]


def name_class(given: type) -> str:
    """Return a name for a class that a conf file gives as itself, under which `describe` finds it."""
    name = f"{given.__module__}.{given.__qualname__}".replace(".<locals>", "")
    _given[name] = given
    return name


def _is_of_the_family(part: type) -> bool:
    return part.__module__ in _NAMES and part.__name__ in ("UvicornWorker", "UvicornH11Worker")


def describe(name: str) -> tuple[Any, dict[str, Any] | None, list[str]]:
    """Return a class and, if it is of uvicorn's family, its `CONFIG_KWARGS` and the methods it overrides."""
    try:
        found = _given[name] if name in _given else pkgutil.resolve_name(name)
    finally:
        withdraw()
    if not isinstance(found, type):
        return found, None, []
    # uvicorn's own class may have been imported before Oxicorn was, by a program that embeds it.
    family = [part for part in found.__mro__ if part is UvicornWorker or _is_of_the_family(part)]
    if not family:
        return found, None, []
    own = found.__mro__[: found.__mro__.index(family[0])]
    methods = {key for part in own for key, value in vars(part).items() if callable(value)}
    keywords = getattr(found, "CONFIG_KWARGS", {})
    if not isinstance(keywords, dict):
        raise TypeError("its CONFIG_KWARGS is no dictionary")
    return found, dict(keywords), sorted(methods)
