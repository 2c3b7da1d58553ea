"""uvicorn's worker classes by name, for classes that extend them: read for what they say, never run."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, ClassVar

from oxicorn.workers.base import Worker


class UvicornWorker(Worker):
    """Stands for uvicorn's class."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "auto", "http": "auto"}


class UvicornH11Worker(UvicornWorker):
    """Stands for uvicorn's class with the parser in Python, which is no choice here."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "asyncio", "http": "auto"}


def describe(path: str) -> tuple[Any, dict[str, Any] | None, list[str]]:
    """Import a class; return it and, if it is of uvicorn's family, its `CONFIG_KWARGS` and the methods it overrides."""
    module, _, name = path.rpartition(".")
    here = sys.modules[__name__]
    names = {"uvicorn.workers": here, "uvicorn_worker": here}
    if importlib.util.find_spec("uvicorn") is None:
        names["uvicorn"] = ModuleType("uvicorn")
    before = {key: sys.modules.get(key) for key in names}
    sys.modules.update(names)
    try:
        found = getattr(importlib.import_module(module), name)
    finally:
        # An application that asks whether uvicorn is there must be told the truth.
        for key, value in before.items():
            sys.modules.pop(key) if value is None else sys.modules.update({key: value})
    if not isinstance(found, type) or not issubclass(found, UvicornWorker):
        return found, None, []
    own = found.__mro__[: found.__mro__.index(UvicornWorker)]
    methods = {key for part in own for key, value in vars(part).items() if callable(value)}
    if not isinstance(found.CONFIG_KWARGS, dict):
        raise TypeError("its CONFIG_KWARGS is no dictionary")
    return found, dict(found.CONFIG_KWARGS), sorted(methods)
