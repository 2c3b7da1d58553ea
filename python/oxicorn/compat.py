"""Lets `import gunicorn` work where Gunicorn is not installed, for conf files, hooks and applications written for it.

`python -m oxicorn.compat SCRIPT` (or `-m MODULE`) runs a program that embeds Gunicorn, or starts another server that
`oxicorn.stand_ins` stands for, on Oxicorn, whether that server is installed or not. `-m gunicorn …` and `-m uvicorn …`
are the commands of these servers, run by Oxicorn.
"""

import sys

from oxicorn import imports


def serve_as(server: str) -> None:
    """Run the command that `sys.argv` has for another server."""
    words = sys.argv[1:]
    sys.argv[0] = str(Path(sys.executable).with_name(server))
    if server == "uvicorn":
        # uvicorn's defaults: its limits, its trust in proxies, and an access log.
        if not any(word.startswith(("-k", "--worker-class")) for word in words):
            words = ["-k", "uvicorn.workers.UvicornWorker", *words]
        if not any(word.startswith(("--access-log", "--no-access-log")) for word in words):
            words = ["--access-log", *words]
    sys.argv[1:] = words
    importlib.import_module("oxicorn.__main__").main()


if __name__ == "__main__":
    # Here too, `python -m` has put the current directory on the path.
    imports.prepare()

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

import oxicorn
from oxicorn.workers import uvicorn

_EXTENDED = {"workers.base", "workers.sync", "workers.gthread", "workers.ggevent"}
"""Ours beside an installed Gunicorn too: a worker class that extends them can run here only if it extends ours."""

GUNICORN_VERSION = "27.0.1"
"""The version whose interface is meant, for conf files that ask."""


class GunicornFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers for `gunicorn` and its submodules with those of Oxicorn.

    It stands first on `sys.meta_path`: the search along a package's path would load a second copy of each submodule.
    """

    def __init__(self, *, replaces: bool) -> None:
        """Step back before a Gunicorn that is installed, unless this one `replaces` it."""
        self._replaces = replaces
        self._asking: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim `gunicorn` itself and those submodules that Oxicorn has."""
        root, _, rest = fullname.partition(".")
        if root != "gunicorn" or not (self._has(rest) if rest else self._is_wanted()):
            return None
        spec = importlib.machinery.ModuleSpec(fullname, self, is_package=not rest)
        if rest and fullname not in self._asking:
            spec.loader = self._hooked(fullname, path, target) or self
        return spec

    def _hooked(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> importlib.abc.Loader | None:
        """Return the loader that an agent makes of this one, where it has a hook for the module.

        Agents have a finder that asks for the spec once more and puts a loader of its own round the one in it.
        """
        self._asking.add(fullname)
        try:
            for finder in sys.meta_path:
                # Old finders have no `find_spec`: Bottle's up to 0.12, which projects carry along.
                find = getattr(finder, "find_spec", None)
                if finder is self or isinstance(finder, type) or find is None:
                    continue
                spec = find(fullname, path, target)
                if spec is not None and getattr(spec.loader, "loader", None) is self:
                    return _Renaming(spec.loader, fullname)
        finally:
            self._asking.discard(fullname)
        return None

    def _is_wanted(self) -> bool:
        installed = importlib.machinery.PathFinder.find_spec("gunicorn", imports.installed_path())
        # A mere directory of that name, with conf files perhaps, is no package.
        return self._replaces or installed is None or installed.loader is None

    def _has(self, rest: str) -> bool:
        package = sys.modules.get("gunicorn")
        if package is None or getattr(package, "__loader__", None) is not self:
            return rest in _EXTENDED
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

    def get_code(self, fullname: str) -> CodeType | None:
        """Return what `python -m gunicorn` runs; other modules are not for that."""
        if fullname not in ("gunicorn.__main__", "gunicorn.app.wsgiapp"):
            return None
        text = "from oxicorn.compat import serve_as\nserve_as('gunicorn')\n"
        return compile(text, f"<{fullname} of Oxicorn>", "exec")


class _Renaming(importlib.abc.Loader):
    """Runs an agent's loader while the module has Gunicorn's name, which the agent goes by."""

    def __init__(self, loader: Any, name: str) -> None:
        self._loader, self._name = loader, name

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        own, module.__name__ = module.__name__, self._name
        try:
            self._loader.exec_module(module)
        finally:
            module.__name__ = own


def application_of(app: Any, application: Callable[..., Any]) -> Callable[..., Any]:
    """Return what `gunicorn.app.base.Application.wsgi` returns for the server's `app`: agents wrap that method."""
    app.callable = application
    name = "gunicorn.app.base"
    # It is imported for an agent only: applications ask whether `gunicorn` is.
    if name not in sys.modules and not _is_awaited(name):
        return application
    return importlib.import_module(name).Application.wsgi(app)  # type: ignore[no-any-return]


def _is_awaited(name: str) -> bool:
    """Whether an agent has a hook for the import of this module."""
    ours = (GunicornFinder, type(imports._guard), uvicorn.UvicornFinder)
    agents = [finder for finder in sys.meta_path if not isinstance(finder, (type, *ours))]
    return any(_finds(finder, name) for finder in agents)


def _finds(finder: Any, name: str) -> bool:
    """Whether a finder has the module. Old ones have no `find_spec`, and any may fail."""
    try:
        return finder.find_spec(name, [], None) is not None
    except Exception:
        return False


def install(*, replaces: bool = False) -> None:
    """Put the finder in place, once."""
    if not any(isinstance(finder, GunicornFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, GunicornFinder(replaces=replaces))
    uvicorn.install()


def pose_as_gunicorn() -> None:
    """Look like Gunicorn to applications that ask which server runs them (`as_gunicorn`)."""
    module = importlib.import_module("gunicorn")
    for name in ("SERVER", "SERVER_SOFTWARE"):
        if renamed(name) is None:
            setattr(module, name, _AS_GUNICORN[name])
    # What a conf file, or the operator's own program, has made of it stays.
    if Path(sys.argv[0]).name in ("oxicorn", "__main__.py"):
        sys.argv[0] = str(Path(sys.executable).with_name("gunicorn"))


_AS_GUNICORN = {"SERVER": "gunicorn", "SERVER_SOFTWARE": f"gunicorn/{GUNICORN_VERSION}"}


def renamed(name: str) -> str | None:
    """Return what a conf file has put in the place of `gunicorn.SERVER` or `gunicorn.SERVER_SOFTWARE`, if it has."""
    module = sys.modules.get("gunicorn")
    usual = {getattr(oxicorn, name)}
    if not isinstance(getattr(module, "__loader__", None), GunicornFinder):
        # Where Gunicorn is installed, its own value cannot be told from an equal one that a conf file has set.
        usual |= {"gunicorn", f"gunicorn/{getattr(module, '__version__', '')}"}
    value = getattr(module, name, None)
    return None if value in usual or not isinstance(value, str) else value


def server_field() -> str | None:
    """Return what the user's code has made of the Server field by changing Gunicorn's names: "" is none, None no wish.

    Besides `gunicorn.SERVER` people patch `gunicorn.http.wsgi.Response.default_headers`, which returns lines.
    """
    wsgi = sys.modules.get("gunicorn.http.wsgi")
    name = renamed("SERVER")
    if name is None and wsgi is not None and wsgi.SERVER not in (oxicorn.SERVER, "gunicorn"):
        name = str(wsgi.SERVER)
    lines = getattr(getattr(wsgi, "Response", None), "default_headers", None)
    # What `functools.wraps` has made keeps the names of what it stands for.
    if lines is None or (lines.__module__.endswith("corn.http.wsgi") and not hasattr(lines, "__wrapped__")):
        return name
    response = SimpleNamespace(version=name or oxicorn.SERVER, status="200 OK", status_code=200, headers=[])
    response.req = SimpleNamespace(version=(1, 1), headers=[], method="GET")
    response.upgrade, response.chunked, response.should_close = False, False, bool
    try:
        fields = [line.partition(":") for line in lines(response)]
    except Exception as error:
        logging.getLogger("gunicorn.error").warning(
            "gunicorn.http.wsgi.Response cannot be patched like this: %r", error
        )
        return name
    return next((value.strip() for field, _, value in fields if field.lower() == "server"), "")


def _main() -> None:
    """Run `SCRIPT …` or `-m MODULE …`, with our names in the place of other servers'."""
    importlib.import_module("oxicorn.stand_ins").install()
    del sys.argv[0]
    match sys.argv[:2]:
        case ["-m", "gunicorn" | "uvicorn" as server]:
            del sys.argv[0]
            serve_as(server)
        case ["gunicorn" | "uvicorn" as server, *_] if not Path(server).exists():
            serve_as(server)
        case ["-m", module]:
            del sys.argv[0]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [script, *_]:
            sys.path[0] = str(Path(script).absolute().parent)
            runpy.run_path(script, run_name="__main__")
        case _:
            sys.exit("usage: python -m oxicorn.compat SCRIPT … | -m MODULE …")


if __name__ == "__main__":
    # The module under its own name, which is what the rest of Oxicorn imports.
    importlib.import_module("oxicorn.compat")._main()
