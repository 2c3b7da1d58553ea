"""Finds the application that a string such as `package.module:factory("argument")` names."""

from __future__ import annotations

import ast
import difflib
import html
import importlib
import inspect
import ipaddress
import logging
import pkgutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from oxicorn import nearby
from oxicorn.dialect import dialect
from oxicorn.errors import AppError, is_library, place, search_path, user_traceback

_log = logging.getLogger("gunicorn.error")

BOOT_ERROR = 3
"""Exit status where the application's code fails; `AppError`'s own default, 4, where the name does not fit."""

_SHAPES = 'write MODULE, MODULE:NAME or MODULE:FACTORY("argument", name=1)'


@dataclass(frozen=True)
class Target:
    """An application string, taken apart."""

    spec: str
    module: str
    names: list[str]
    arguments: tuple[list[Any], dict[str, Any]] | None


def load(spec: str, wanted: str | None = None, *, factory: bool = False) -> tuple[Callable[..., Any], str]:
    """Import what `spec` names and return the application with its interface, or raise `AppError`.

    `wanted` is the interface that the worker class serves, "wsgi" or "asgi"; without it the application decides.
    With `factory` a name alone is called as well.
    """
    target = parse(spec)
    module = _import(target)
    found = _attribute(module, target)
    if factory or target.arguments is not None:
        found = _call_factory(found, target)
    elif dialect(found) == "factory":
        _log.warning('"%s" takes no arguments: it is called as a factory ("%s()" or --factory says so)', spec, spec)
        found = _call_factory(found, target)
    return found, _interface(found, target.spec, wanted)


def load_by(make: Callable[[], Any], name: str, wanted: str | None = None) -> tuple[Callable[..., Any], str]:
    """Return the application that `make` returns on behalf of `name`, as `load` does."""
    try:
        found = make()
    except AppError:
        raise
    except Exception as error:
        report = f"{place(error)} raised while {name} loaded its application\n{user_traceback(error)}"
        raise AppError(report, exit_code=BOOT_ERROR) from error
    return found, _interface(found, name, wanted)


def parse(spec: str) -> Target:
    """Take `spec` apart: literals only, nothing is evaluated."""
    module, _, expression = spec.partition(":")
    if not module or "/" in module:
        hint = f"{_SHAPES}; --chdir DIRECTORY says where to look" if "/" in module else _SHAPES
        raise AppError(f'"{spec}" does not name a module', _did_you_mean(nearby.meant(spec)) or hint)
    try:
        tree = ast.parse(expression.strip() or "application", mode="eval").body
        arguments = None
        if isinstance(tree, ast.Call):
            keywords = {word.arg: ast.literal_eval(word.value) for word in tree.keywords if word.arg}
            if len(keywords) != len(tree.keywords):
                raise ValueError("** is not a literal")
            arguments = ([ast.literal_eval(value) for value in tree.args], keywords)
            tree = tree.func
        return Target(spec, module, _dotted(tree), arguments)
    except (SyntaxError, ValueError) as error:
        raise AppError(f'cannot read the application string "{spec}"', f"{_SHAPES}; arguments are literals") from error


def _dotted(tree: ast.expr) -> list[str]:
    if isinstance(tree, ast.Name):
        return [tree.id]
    if isinstance(tree, ast.Attribute):
        return [*_dotted(tree.value), tree.attr]
    raise ValueError("neither a name nor dotted names")


def _import(target: Target) -> ModuleType:
    name = target.module
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise _not_found(target, error.name) from error
        raise _raised(target, error) from error
    except Exception as error:
        raise _raised(target, error) from error


def _not_found(target: Target, missing: str) -> AppError:
    parent, _, last = missing.rpartition(".")
    module = sys.modules.get(parent) if parent else None
    message = f'cannot import "{target.module}"'
    hint = _did_you_mean(nearby.meant(target.spec))
    if module is not None and not hasattr(module, "__path__"):
        # `app.py` is read as the module `py` in the package `app`.
        message += f': "{parent}" is a module, not a package'
        return AppError(message, hint, exit_code=BOOT_ERROR)
    where = [str(entry) for entry in module.__path__] if module is not None else sys.path
    message += f"  (looked in {', '.join(where) if module is not None else search_path()})"
    # A mistyped project is no module of the standard library, nor an installed package.
    own = [entry for entry in where if not is_library(entry or ".") or (parent and not _is_standard(parent))]
    near = difflib.get_close_matches(last, [info.name for info in pkgutil.iter_modules(own)], n=1)
    if hint is None and near:
        suggestion = f"{parent}.{near[0]}" if parent else near[0]
        hint = _did_you_mean(_applied(target.spec.replace(missing, suggestion, 1)))
    return AppError(message, hint, exit_code=BOOT_ERROR)


def _applied(spec: str) -> str:
    """The name with the application that its file has, where the name alone does not say which."""
    return spec if ":" in spec else nearby.meant(spec) or spec


def _did_you_mean(words: str | None) -> str | None:
    return None if words is None else f'did you mean "{words}"?'


def _raised(target: Target, error: BaseException) -> AppError:
    """The application's own code failed; it is shown where, without our frames and the importer's."""
    return AppError(
        f'{place(error)} raised while importing "{target.module}"\n{user_traceback(error)}',
        exit_code=BOOT_ERROR,
    )


def _attribute(module: ModuleType, target: Target) -> Any:
    found: Any = module
    for depth, name in enumerate(target.names):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            owner = ".".join([target.module, *target.names[:depth]])
            raise _no_attribute(found, owner, name, target) from error
    return found


def _no_attribute(owner: Any, owner_name: str, name: str, target: Target) -> AppError:
    applications = dict(_applications(owner))
    message = f'{owner_name} has no attribute "{name}"'
    standard = _is_standard(target.module)
    if applications and not standard:
        message += "; it has: " + ", ".join(f"{key} ({kind})" for key, kind in list(applications.items())[:6])
    if standard:
        # The project has no module of that name, and the standard library has.
        return AppError(f"{message}; it is a module of Python's library", _did_you_mean(nearby.suggestion()))
    near = difflib.get_close_matches(name, [key for key in dir(owner) if not key.startswith("_")], n=1)
    likely = near or [key for key in applications if key in nearby.NAMES or _is_application(getattr(owner, key))]
    if likely:
        dotted = ".".join([*target.names[:-1], likely[0]])
        if dialect(getattr(owner, likely[0])) == "factory":
            dotted += "()"
        return AppError(message, f'did you mean "{target.module}:{dotted}"?')
    return AppError(message, _did_you_mean(nearby.meant(target.module)))


def _is_standard(module: str) -> bool:
    """Whether the imported `module` is one of the standard library, not a file of the user's with such a name."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return module.partition(".")[0] in sys.stdlib_module_names and (file is None or is_library(file))


def _is_application(found: Any) -> bool:
    return dialect(found) in ("wsgi", "asgi3")


def _applications(owner: Any) -> Iterable[tuple[str, str]]:
    """Yield what could be an application: callable instances first, then functions of the same module."""
    public = [(name, value) for name, value in vars(owner).items() if not name.startswith("_") and callable(value)]
    for name, value in public:
        if not inspect.isroutine(value) and not inspect.isclass(value):
            yield name, type(value).__name__
    for name, value in public:
        if inspect.isroutine(value) and getattr(value, "__module__", None) == getattr(owner, "__name__", ""):
            yield name, "function"


def _call_factory(factory: Any, target: Target) -> Any:
    if not callable(factory):
        raise AppError(f'"{target.spec}" calls what is of the type {type(factory).__name__}, not callable')
    positional, keywords = target.arguments or ([], {})
    try:
        return factory(*positional, **keywords)
    except TypeError as error:
        traceback = error.__traceback__
        if traceback is not None and traceback.tb_next is None:
            # Nothing of the factory ran: the arguments do not fit.
            raise AppError(f'"{target.spec}" does not fit the factory: {error}') from error
        raise _raised(target, error) from error
    except Exception as error:
        raise _raised(target, error) from error


def _interface(found: Any, spec: str, wanted: str | None) -> str:
    if not callable(found):
        kind = "None" if found is None else f"of the type {type(found).__name__}"
        raise AppError(f'"{spec}" is {kind}, not a WSGI or ASGI application')
    spoken = dialect(found)
    asgi = spoken in ("asgi3", "asgi2")
    if asgi and wanted == "wsgi":
        raise AppError(
            f'"{spec}" is an ASGI application ({_kind(found)}); this worker class serves WSGI',
            "-k asgi serves it",
        )
    if wanted == "asgi" and spoken == "wsgi":
        raise AppError(
            f'"{spec}" is a WSGI application ({_kind(found)}); asgi workers serve ASGI',
            "leave -k away, or choose sync or gthread",
        )
    return wanted or ("asgi" if asgi else "wsgi")


def _kind(application: Any) -> str:
    routine = inspect.isroutine(application) or inspect.isclass(application)
    return str(application.__name__) if routine else type(application).__name__


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Oxicorn: the application cannot be served</title></head>
<body><h1>The application cannot be served</h1><pre>{}</pre><p>The next change of a file has it loaded again.</p></body>
</html>
"""


_PLAIN = "Internal Server Error: the log of the server says why\n"

_FORWARDED = {"forwarded", "x-forwarded-for", "x-real-ip"}
"""Who has one of these fields is perhaps not the peer."""


def _is_here(peer: str, fields: Iterable[str]) -> bool:
    """Whether the client is a process of this machine."""
    try:
        loopback = ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
    return loopback and _FORWARDED.isdisjoint(fields)


def stand_in(interface: str, report: str, *, to_all: bool = False) -> tuple[Callable[..., Any], str]:
    """Return the application that shows `report`, while files are watched, in place of one that cannot be served.

    Clients elsewhere see it only with `to_all`: a traceback shows source code.
    """

    def answer(peer: str, given: Iterable[str]) -> tuple[list[tuple[str, str]], bytes]:
        is_shown = to_all or _is_here(peer, given)
        text = _PAGE.format(html.escape(report)) if is_shown else _PLAIN
        page = text.encode("utf-8", "backslashreplace")
        kind = "text/html" if is_shown else "text/plain"
        return [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(page)))], page

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        given = (name.removeprefix("HTTP_").replace("_", "-").lower() for name in environ)
        fields, page = answer(environ["REMOTE_ADDR"], given)
        start_response("500 Internal Server Error", fields)
        return [page]

    async def asgi_application(scope: dict[str, Any], receive: Any, send: Callable[..., Any]) -> None:
        if scope["type"] == "http":
            peer = scope["client"][0] if scope.get("client") else ""
            fields, page = answer(peer, (name.decode("latin-1") for name, _ in scope["headers"]))
            head = [(name.lower().encode(), value.encode()) for name, value in fields]
            await send({"type": "http.response.start", "status": 500, "headers": head})
            await send({"type": "http.response.body", "body": page})
        elif scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
        else:
            await send({"type": "websocket.close", "code": 1011})

    return (asgi_application, "asgi") if interface == "asgi" else (application, "wsgi")
