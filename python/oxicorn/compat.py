"""Lets `import gunicorn` work where Gunicorn is not installed, for conf files and hooks written for it."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

import oxicorn

GUNICORN_VERSION = "27.0.1"
"""The version whose interface is meant, for conf files that ask."""


class GunicornFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers for `gunicorn` and its submodules with those of Oxicorn.

    It stands last on `sys.meta_path`, so an installed Gunicorn is found before it.
    """

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim `gunicorn` itself and those submodules that Oxicorn has."""
        root, _, rest = fullname.partition(".")
        if root != "gunicorn" or (rest and not self._has(rest)):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=not rest)

    def _has(self, rest: str) -> bool:
        package = sys.modules.get("gunicorn")
        if package is None or getattr(package, "__loader__", None) is not self:
            return False
        return importlib.util.find_spec(f"oxicorn.{rest}") is not None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return Oxicorn's module itself, so that classes are the same under both names."""
        _, _, rest = spec.name.partition(".")
        if rest:
            module = importlib.import_module(f"oxicorn.{rest}")
            spec.loader_state = module.__spec__
            return module
        module = ModuleType("gunicorn", oxicorn.__doc__)
        module.__dict__.update(
            __version__=GUNICORN_VERSION,
            version_info=tuple(int(part) for part in GUNICORN_VERSION.split(".")),
            SERVER=oxicorn.SERVER,
            SERVER_SOFTWARE=oxicorn.SERVER_SOFTWARE,
        )
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give Oxicorn's module its own spec back, which the import machinery has just replaced."""
        spec = module.__spec__
        if spec is not None and spec.loader_state is not None:
            module.__spec__ = spec.loader_state


def install() -> None:
    """Put the finder in place, once."""
    if not any(isinstance(finder, GunicornFinder) for finder in sys.meta_path):
        sys.meta_path.append(GunicornFinder())
