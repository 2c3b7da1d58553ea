"""Oxicorn: a pre-fork application server for Python, written in Rust.

The server itself is the extension module `oxicorn._oxicorn`; the files beside it are what has to be
Python: the objects that hooks receive, the loggers, what imports the application, and what programs
start servers with.
"""

from oxicorn._oxicorn import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from oxicorn.server import Server, run, serve

SERVER = "oxicorn"
SERVER_SOFTWARE = f"{SERVER}/{__version__}"
version_info = tuple(int(part) for part in __version__.split("."))

__all__ = ["SERVER", "SERVER_SOFTWARE", "Server", "__version__", "run", "serve", "version_info"]


def __getattr__(name: str) -> "Any":
    """Import what programs start servers with, which the server itself has no use for, when it is asked for."""
    if name in ("Server", "run", "serve"):
        import oxicorn.server

        return getattr(oxicorn.server, name)
    raise AttributeError(f"module 'oxicorn' has no attribute {name!r}")
