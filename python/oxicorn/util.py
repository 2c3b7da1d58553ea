"""Functions of `gunicorn.util` that conf files and applications use."""

from __future__ import annotations

import contextlib
import email.utils
import importlib
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def import_app(module: str) -> Callable[..., Any]:
    """Return the application that an application string names."""
    from oxicorn.app_loader import load

    return load(module)[0]


def load_class(uri: Any, default: str = "oxicorn.workers.sync.SyncWorker", section: str = "") -> Any:
    """Return the class with the dotted path `uri`, `default` where that is "default", or `uri` itself."""
    del section
    if not isinstance(uri, str):
        return uri
    module, _, name = (default if uri == "default" else uri).rpartition(".")
    return getattr(importlib.import_module(module), name)


def parse_address(netloc: str, default_port: str = "8000") -> Any:
    """Return what `socket.bind` takes for an address of the setting `bind`; a number for `fd://N`."""
    for prefix in ("unix://", "unix:"):
        if netloc.startswith(prefix):
            return netloc.removeprefix(prefix)
    if netloc.startswith("fd://"):
        return int(netloc.removeprefix("fd://"))
    host, _, rest = netloc.removeprefix("tcp://").rpartition("]")
    if host:
        host, port = host.removeprefix("["), rest.removeprefix(":")
    else:
        host, _, port = rest.partition(":")
    return host.lower() or "0.0.0.0", int(port or default_port)


def is_ipv6(addr: str) -> bool:
    """Whether `addr` is an IPv6 address."""
    try:
        socket.inet_pton(socket.AF_INET6, addr)
    except OSError:
        return False
    return True


def getcwd() -> str:
    """Return the current directory as the operator came to it, through symbolic links."""
    named, actual = os.environ.get("PWD", ""), Path.cwd()
    return named if named and Path(named).is_dir() and Path(named).samefile(actual) else str(actual)


def http_date(timestamp: float | None = None) -> str:
    """Return a moment as HTTP has it, now by default."""
    return email.utils.formatdate(time.time() if timestamp is None else timestamp, localtime=False, usegmt=True)


def close(sock: socket.socket) -> None:
    """Close `sock` in any state."""
    with contextlib.suppress(OSError):
        sock.close()


def unlink(filename: str) -> None:
    """Remove a file that may be gone already."""
    Path(filename).unlink(missing_ok=True)


def check_is_writable(path: str) -> None:
    """Raise `RuntimeError` where `path` cannot be written to."""
    try:
        with Path(path).open("a"):
            pass
    except OSError as error:
        raise RuntimeError(f"Error: '{path}' isn't writable [{error!r}]") from error


def to_bytestring(value: str | bytes, encoding: str = "utf8") -> bytes:
    """Return `value` as bytes."""
    return value if isinstance(value, bytes) else value.encode(encoding)


def bytes_to_str(b: str | bytes) -> str:
    """Return `b` as text."""
    return b if isinstance(b, str) else b.decode("latin1")


def warn(msg: str) -> None:
    """Write a warning to standard error."""
    print(f"WARNING: {msg}", file=sys.stderr)  # noqa: T201
