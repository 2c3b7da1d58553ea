"""What Python imports at its start in the programs that `oxicorn run` starts: it answers the names of other servers.

Nothing of Oxicorn is imported before a program asks for one of these names, because every child that is a Python runs
this too. The `sitecustomize` of the environment is run as well.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_HERE = os.path.dirname(os.path.abspath(__file__))


class _Door:
    """Puts Oxicorn's own finders in place when the first of the names is imported."""

    NAMES = frozenset({"granian", "gunicorn", "hypercorn", "uvicorn", "uvicorn_worker", "waitress"})

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if name.partition(".")[0] not in self.NAMES:
            return None
        sys.meta_path.remove(self)
        try:
            from oxicorn import stand_ins
        except ImportError:
            return None  # An interpreter without Oxicorn.
        stand_ins.install()
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        return next(filter(None, found), None)


def _run_the_other() -> None:
    """Import the `sitecustomize` that this one stands before."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    others = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
sys.meta_path.insert(0, _Door())
_run_the_other()
