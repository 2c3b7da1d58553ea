"""The socket of a client that an application has taken over.

Closing a socket ends the connection only when no other process holds it, and a child that a view has forked does: the
client would wait for the end of that child. So the connection is shut down first, by the process that took it. Where it
is to live on elsewhere, `detach()` gives the descriptor away, and a socket of which `dup()` has made a copy leaves the
connection to that.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress


class TakenSocket(socket.socket):
    """A socket that ends its connection when it is closed, or forgotten."""

    __slots__ = ("taken_by",)

    #: The process that ends the connection; another, or none, only closes its descriptor.
    taken_by: int

    def dup(self) -> TakenSocket:
        """Copy the socket, which leaves the end of the connection to the copy."""
        self.taken_by = 0
        return super().dup()

    def _real_close(self, *arguments: type[socket.socket]) -> None:
        # With a file of `makefile` open this waits for the end of that.
        self._end()
        super()._real_close(*arguments)  # type: ignore[misc]

    def __del__(self) -> None:
        self._end()
        super().__del__()  # type: ignore[misc]

    def _end(self) -> None:
        if getattr(self, "taken_by", 0) == os.getpid():
            self.taken_by = 0
            # The client may be gone already, or the descriptor given away.
            with suppress(OSError):
                self.shutdown(socket.SHUT_RDWR)
