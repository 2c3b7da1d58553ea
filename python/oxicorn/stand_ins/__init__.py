"""The names of other servers, answered by Oxicorn for programs that start a server themselves (`oxicorn run`).

Modules that stand for a server's own are in `_MODULES`. What else a server's package has (middleware, helpers) comes
from that package where it is installed.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

_MODULES = {
    "granian": "granian",
    "granian.__main__": "granian",
    "granian.cli": "granian",
    "granian.server": "granian",
    "hypercorn": "hypercorn",
    "hypercorn.__main__": "hypercorn",
    "hypercorn.asyncio": "hypercorn",
    "hypercorn.config": "hypercorn",
    "hypercorn.run": "hypercorn",
    "hypercorn.trio": "hypercorn",
    "uvicorn": "uvicorn",
    "uvicorn.__main__": "uvicorn",
    "uvicorn.config": "uvicorn",
    "uvicorn.main": "uvicorn",
    "uvicorn.server": "uvicorn",
    "waitress": "waitress",
    "waitress.__main__": "waitress",
    "waitress.runner": "waitress",
    "waitress.server": "waitress",
}
"""Which module of this package has the names of a module of another server's."""

_MISSING = {"granian.constants": "granian", "granian.log": "granian", "uvicorn.logging": "uvicorn"}
"""The same for modules that are answered only where the package is not installed."""


class StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds the modules of other servers here."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim what stands for a server; leave the rest of its package to that package."""
        del path, target
        root = fullname.partition(".")[0]
        installed = _installed(root) if fullname in _MISSING or fullname == root else None
        if fullname not in _MODULES and (fullname not in _MISSING or installed is not None):
            return None
        spec = importlib.machinery.ModuleSpec(fullname, self, is_package=fullname == root)
        if fullname == root:
            spec.submodule_search_locations = list(installed or [])
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Leave it to Python."""
        del spec
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Give the module the names that it stands for."""
        own = vars(importlib.import_module(f"{__name__}.{(_MODULES | _MISSING)[module.__name__]}"))
        module.__dict__.update({name: own[name] for name in own if name == "__version__" or not name.startswith("_")})

    def get_code(self, fullname: str) -> CodeType:
        """Return what `python -m` runs."""
        server = fullname.partition(".")[0]
        text = f"import sys\nfrom {__name__}.{server} import main\nsys.exit(main())\n"
        return compile(text, f"<{fullname} of Oxicorn>", "exec")

    def get_source(self, fullname: str) -> str | None:
        """Have none."""
        del fullname
        return None

    def is_package(self, fullname: str) -> bool:
        """Whether it is a server's whole package."""
        return "." not in fullname


def _installed(server: str) -> list[str] | None:
    """Where the package of another server is, if it is installed."""
    found = importlib.machinery.PathFinder.find_spec(server)
    if found is None or found.loader is None:
        return None
    return list(found.submodule_search_locations or [])


def install() -> None:
    """Answer for all servers from now on, also for those that are imported already."""
    from oxicorn import compat

    compat.install(replaces=True)
    if not any(isinstance(finder, StandInFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, StandInFinder())


def run(command: str) -> None:
    """Run the command line of another server, in `sys.argv`, as `python -m oxicorn.compat` does."""
    from oxicorn import compat

    compat.serve_as(command)
