"""The listening sockets as hooks see them: `server.LISTENERS` and `worker.sockets`."""

from __future__ import annotations

import os
import socket
from functools import cached_property
from typing import Any

from oxicorn.util import parse_address


class Listener:
    """A listening socket of the server; what it does not have itself, the `socket` object behind it has."""

    def __init__(self, descriptor: int, configured: str, shown: str) -> None:
        """Describe the socket `descriptor`, which the server owns."""
        self._descriptor, self._shown = descriptor, shown
        self.cfg_addr = parse_address(configured)

    @cached_property
    def sock(self) -> socket.socket:
        """A `socket` over a descriptor of its own, made when it is asked for."""
        return socket.socket(fileno=os.dup(self._descriptor))

    def fileno(self) -> int:
        """Return the server's own descriptor."""
        return self._descriptor

    def __getattr__(self, name: str) -> Any:
        """Answer with the socket's attribute."""
        return getattr(self.sock, name)

    def __str__(self) -> str:
        """Return the address as the log has it."""
        return self._shown
