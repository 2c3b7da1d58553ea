"""Tells by an application's shape how it is called: nothing of it runs."""

from __future__ import annotations

import functools
import inspect
from typing import Any


def dialect(application: Any) -> str | None:
    """Return "wsgi", "asgi3", "asgi2", "factory" for what takes no arguments, or None where the shape does not tell."""
    whole = application
    while isinstance(application, functools.partial):
        application = application.func
    if inspect.isclass(application):
        if hasattr(application, "__await__"):
            return "asgi3"
        calls_twice = inspect.iscoroutinefunction(application.__call__)
        return _by_parameters(whole) or ("asgi2" if calls_twice else None)
    if is_coroutine_function(application):
        return "asgi3"
    return _by_parameters(whole)


def is_coroutine_function(application: Any) -> bool:
    """Whether a call of `application` only makes a coroutine and runs nothing yet."""
    if inspect.isclass(application):
        return False
    # An instance may have a `__call__` of its own, for which its class has a slot.
    call = application if inspect.isroutine(application) else getattr(application, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(call)


_BY_COUNTS = {
    (0,): "factory",
    (0, 1): "factory",
    (1,): "asgi2",
    (2,): "wsgi",
    (2, 3): "wsgi",
    (3,): "asgi3",
}


def _by_parameters(application: Any) -> str | None:
    try:
        signature = inspect.signature(application)
    except (TypeError, ValueError):
        return None
    if list(signature.parameters)[:3] == ["scope", "receive", "send"]:
        return "asgi3"
    counts = tuple(number for number in (0, 1, 2, 3) if _takes(signature, number))
    return _BY_COUNTS.get(counts)


def _takes(signature: inspect.Signature, arguments: int) -> bool:
    try:
        signature.bind(*range(arguments))
    except TypeError:
        return False
    return True
