"""gevent in this process: whether it is there, and its patches of the library."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import sys
import sysconfig
import warnings
from types import ModuleType
from typing import Any

from oxicorn.errors import AppError

_log = logging.getLogger("gunicorn.error")

_OLDEST = (24, 10, 1)
"""The first gevent that Gunicorn takes."""

_PATCHED = ("os", "queue", "select", "selectors", "signal", "socket", "ssl", "subprocess", "threading", "time")
"""The modules whose functions gevent replaces."""

_OURS = ("gevent", "greenlet", "oxicorn", "gunicorn", "zope")


def check() -> None:
    """Raise `AppError` where no gevent worker can run."""
    if importlib.util.find_spec("gevent") is None:
        raise AppError("-k gevent needs gevent, which is not installed", "pip install gevent", exit_code=1)
    version = importlib.metadata.version("gevent")
    if tuple(int(part) for part in version.split(".")[:3] if part.isdigit()) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise AppError(f"-k gevent needs gevent {oldest} or newer, and this is {version}", exit_code=1)
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise AppError("-k gevent does not run on a free-threaded CPython", "choose gthread", exit_code=1)


def patch() -> None:
    """Have gevent's functions stand in the place of those that block, unless they do so already."""
    monkey = importlib.import_module("gevent.monkey")
    if monkey.is_module_patched("socket"):
        return
    before = {name: dict(vars(sys.modules[name])) for name in _PATCHED if name in sys.modules}
    with warnings.catch_warnings():
        # They name modules in which there may be nothing that blocks. The line below names what there is.
        warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)
        monkey.patch_all()
    if early := sorted(_imported_early(before)):
        names = ", ".join(early)
        _log.warning("Imported before gevent could patch what they use, so they block all requests: %s", names)


def _imported_early(before: dict[str, dict[str, Any]]) -> set[str]:
    """Name the modules that keep something of the library that has been replaced since `before`."""
    replaced = {
        id(value): f"{name}.{key}"
        for name, attributes in before.items()
        for key, value in attributes.items()
        if callable(value) and vars(sys.modules[name]).get(key, value) is not value
    }
    early = set()
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if not isinstance(module, ModuleType) or top in sys.stdlib_module_names or top in _OURS:
            continue
        kept = sorted(replaced[id(value)] for value in list(vars(module).values()) if id(value) in replaced)
        if kept:
            early.add(f"{name} ({', '.join(kept)})")
    return early
