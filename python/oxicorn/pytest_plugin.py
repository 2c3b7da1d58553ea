"""A plugin of pytest: the fixture `oxicorn_server` starts servers that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from oxicorn.server import Server


@pytest.fixture
def oxicorn_server() -> Iterator[Callable[..., Server]]:
    """Start a server for an application, on a free port unless an address is given; `url` is where it serves."""
    from oxicorn.server import Server

    with ExitStack() as stack:

        def start(app: Any, **settings: Any) -> Server:
            return stack.enter_context(Server(app, **settings))

        yield start
