"""Oxicorn: a pre-fork application server for Python, written in Rust.

The server itself is the extension module `oxicorn._oxicorn`; the files beside it are what has to be
Python: the objects that hooks receive, the loggers, and what imports the application.
"""

from oxicorn._oxicorn import __version__

SERVER = "oxicorn"
SERVER_SOFTWARE = f"{SERVER}/{__version__}"
version_info = tuple(int(part) for part in __version__.split("."))

__all__ = ["SERVER", "SERVER_SOFTWARE", "__version__", "version_info"]
