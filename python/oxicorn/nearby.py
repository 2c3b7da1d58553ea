"""Guesses which application the files of a directory define, without importing any of them: for hints."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from oxicorn.errors import is_library

_MODULES = ("app", "main", "wsgi", "asgi", "application", "server")
NAMES = ("application", "app", "api", "create_app", "make_app")
"""What applications are called, the usual first."""
_LONGEST = 256 * 1024
"""Bytes; a file that is longer is not read for the sake of a hint."""
_MOST = 100
"""So many files are looked at."""
_DJANGO = re.compile(r"""["']DJANGO_SETTINGS_MODULE["']\s*,\s*["'](\w+)[\w.]*["']""")
"""What a Django project's manage.py says of its package."""


def suggestion(directory: str = ".") -> str | None:
    """Return the application string that fits `directory` best."""
    return _readable(lambda: next(_suggestions(Path(directory)), None))


def command() -> str | None:
    """Return the same as a shell takes it."""
    found = suggestion()
    return f"'{found}'" if found is not None and "(" in found else found


def meant(spec: str) -> str | None:
    """Return the application string that `spec`, which names no application, was probably meant to be."""
    module, _, expression = spec.partition(":")
    found = (_readable(partial(_meant_below, root, module, expression)) for root in _roots())
    return next((name for name in found if name is not None and name != spec), None)


def defined(file: Path) -> str | None:
    """Return the name under which `file` has its application, as an application string writes it."""
    name = next((name for name in NAMES if name in _top_level(file)), None)
    return f"{name}()" if name is not None and name.endswith("_app") else name


def _readable(look: Callable[[], str | None]) -> str | None:
    """Return what `look` finds; a directory that this user may not read holds nothing."""
    try:
        return look()
    except OSError:
        return None


def _roots() -> list[Path]:
    """The directories in which the user's modules are looked for, as far as this user may look there."""
    entries = dict.fromkeys(entry or "." for entry in sys.path if not is_library(entry))
    return [Path(entry) for entry in entries if os.path.isdir(entry)]  # noqa: PTH112 - Path's raises


def _suggestions(root: Path) -> Iterator[str]:
    """Yield the applications below `root`, the likeliest first."""
    packages = sorted(path.parent for path in root.glob("*/__init__.py"))
    files = [root / f"{module}.py" for module in _MODULES]
    project = _django_project(root)
    if project is not None:
        files = [root / project / "wsgi.py", root / project / "asgi.py", *files]
    files += [package / f"{module}.py" for package in packages for module in (*_MODULES, "__init__")]
    files += sorted(file for file in root.glob("*.py") if file not in files and not file.name.startswith("test_"))
    for file in files[:_MOST]:
        name = defined(file)
        if name is not None:
            yield f"{_dotted(file.relative_to(root))}:{name}"


def _django_project(root: Path) -> str | None:
    found = _DJANGO.search(_source(root / "manage.py").decode(errors="replace"))
    return found[1] if found is not None else None


def _meant_below(root: Path, module: str, expression: str) -> str | None:
    if "/" in module:
        return _of_path(root, Path(module), expression)
    # `shop.py` and `mysite.wsgi.py` are files with slashes or without.
    parts = module.removesuffix(".py").split(".")
    for length in range(len(parts), 0, -1):
        file = root.joinpath(*parts[:length]).with_suffix(".py")
        rest = ".".join([*parts[length:], *([expression] if expression else [])])
        if file.is_file():
            return _in_file(root, file, rest)
    package = root.joinpath(*parts)
    return _in_package(root, package) if package.is_dir() else None


def _in_file(root: Path, file: Path, wanted: str) -> str | None:
    name = wanted if wanted.split(".")[0].partition("(")[0] in _top_level(file) else defined(file)
    if name:
        return f"{_dotted(file.relative_to(root))}:{name}"
    return next(_suggestions(root), None)


def _in_package(root: Path, package: Path) -> str | None:
    for module in ("wsgi", "asgi", "app", "main", "application", "server", "__init__"):
        file = package / f"{module}.py"
        name = defined(file)
        if name is not None:
            return f"{_dotted(file.relative_to(root))}:{name}"
    # A project's directory: its package has the same name, or stands beside its manage.py.
    inner = next(_suggestions(package), None)
    return f"--chdir {package.relative_to(root)} {inner}" if inner is not None else None


def _of_path(root: Path, path: Path, expression: str) -> str | None:
    """Take `path` for the file or the directory that it may be, with or without `.py`."""
    whole = root / path
    if whole.is_dir():
        return _in_package(root, whole) if _is_below(root, whole) else None
    file = whole if whole.suffix == ".py" else whole.with_name(whole.name + ".py")
    if not file.is_file():
        return None
    if _is_below(root, file):
        return _in_file(root, Path(root, file.resolve().relative_to(root.resolve())), expression)
    inner = _in_file(file.parent, file, expression)
    return f"--chdir {file.parent} {inner}" if inner is not None else None


def _is_below(root: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _dotted(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def _source(file: Path) -> bytes:
    """The file's text, nothing where it cannot be read or is too long."""
    try:
        return file.read_bytes() if file.is_file() and file.stat().st_size <= _LONGEST else b""
    except OSError:
        return b""


def _top_level(file: Path) -> set[str]:
    """The names that the module in `file` has once it is imported, as far as its text tells."""
    try:
        body = ast.parse(_source(file)).body
    except (SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add(statement.name)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found.update(target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in statement.names)
    return found
