"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: The pause between two looks. Short against everything that is waited for, long against a look.
STEP_S = 0.01


def eventually(
    condition: Callable[[], T],
    *,
    within: float = 10.0,
    what: str | Callable[[], str] = "the condition",
) -> T:
    """Return the first true value of `condition`, or fail after `within` seconds.

    `what` says in the failure what was waited for; a callable is asked only then, so that it can
    show the state in which the wait ended.
    """
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            described = what() if callable(what) else what
            raise AssertionError(f"not within {within} s: {described}")
        time.sleep(STEP_S)


def still(condition: Callable[[], object], *, throughout: float, what: str) -> None:
    """Check that `condition` holds all through `throughout` seconds.

    For promises that something does *not* happen, where there is no event to wait for.
    """
    deadline = time.monotonic() + throughout
    while time.monotonic() < deadline:
        assert condition(), f"no longer true: {what}"
        time.sleep(STEP_S)
