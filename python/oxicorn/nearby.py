"""Guesses which application the files of a directory define, without importing any of them: for hints."""

from __future__ import annotations

import ast
from pathlib import Path

_MODULES = ("app", "main", "wsgi", "asgi", "application", "server")
_NAMES = ("application", "app", "api", "create_app", "make_app")
_LONGEST = 256 * 1024
"""Bytes; a file that is longer is not read for the sake of a hint."""
_MOST = 100
"""So many files are looked at."""


def suggestion() -> str | None:
    """Return the words after `oxicorn` that fit the current directory best."""
    packages = sorted(path.parent for path in Path().glob("*/__init__.py"))
    files = [Path(f"{module}.py") for module in _MODULES]
    files += [package / f"{module}.py" for package in packages for module in (*_MODULES, "__init__")]
    for file in files[:_MOST]:
        name = defined(file)
        if name is not None:
            module = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
            return module if name == "application" else f"'{module}:{name}'" if "(" in name else f"{module}:{name}"
    return None


def defined(file: Path) -> str | None:
    """Return the name under which `file` has its application, as an application string writes it."""
    try:
        if file.stat().st_size > _LONGEST:
            return None
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None
    found: set[str] = set()
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add(statement.name)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found.update(target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in statement.names)
    name = next((name for name in _NAMES if name in found), None)
    return f"{name}()" if name is not None and name.endswith("_app") else name
