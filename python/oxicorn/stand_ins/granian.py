"""Granian's names for programs: `Granian(…).serve()` and the words that its options take."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from oxicorn import _oxicorn
from oxicorn import server as own

__version__ = "2.8.0"
"""Whose interface is meant."""


class _Word(str, Enum):
    def __str__(self) -> str:
        return str(self.value)


class Interfaces(_Word):
    """How an application is called."""

    ASGI = "asgi"
    ASGINL = "asginl"
    RSGI = "rsgi"
    WSGI = "wsgi"


class HTTPModes(_Word):
    """Which versions of HTTP are spoken."""

    auto = "auto"
    http1 = "1"
    http2 = "2"


class Loops(_Word):
    """Event loops."""

    auto = "auto"
    asyncio = "asyncio"
    rloop = "rloop"
    uvloop = "uvloop"
    winloop = "winloop"


class RuntimeModes(_Word):
    """Without effect here."""

    auto = "auto"
    mt = "mt"
    st = "st"


class TaskImpl(_Word):
    """Without effect here."""

    asyncio = "asyncio"
    rust = "rust"


class LogLevels(_Word):
    """What is logged."""

    critical = "critical"
    error = "error"
    warning = "warning"
    warn = "warn"
    info = "info"
    debug = "debug"
    notset = "notset"


_SETTINGS = {
    "backlog": "backlog",
    "backpressure": "worker_connections",
    "blocking_threads": "threads",
    "factory": "app_factory",
    "log_dictconfig": "logconfig_dict",
    "pid_file": "pidfile",
    "process_name": "proc_name",
    "reload": "reload",
    "ssl_ca": "ca_certs",
    "ssl_cert": "certfile",
    "ssl_key": "keyfile",
    "workers": "workers",
    "workers_kill_timeout": "graceful_timeout",
    "working_dir": "chdir",
}
"""What its options are here."""

_APART = {"address", "port", "uds", "interface", "loop", "http", "websockets", "log_enabled", "log_level", "log_access"}

_REFUSED = {
    *("ssl_client_verify", "ssl_crl", "ssl_key_password", "static_path_mount", "url_path_prefix", "workers_lifetime"),
    *("workers_max_rss", "metrics_enabled", "env_files", "log_access_format"),
}
"""What would change how the program works, and is not there or has another form."""


class Granian:
    """A server with its workers."""

    def __init__(self, target: Any, address: str = "127.0.0.1", port: int = 8000, **keywords: Any) -> None:
        """Take Granian's keywords."""
        self.target = target
        self._hooks: dict[str, list[Callable[[], Any]]] = {"startup": [], "shutdown": []}
        self._settings = _settings({"address": address, "port": port, **keywords})

    def on_startup(self, hook: Callable[[], Any]) -> Callable[[], Any]:
        """Call `hook` before the server starts."""
        self._hooks["startup"].append(hook)
        return hook

    def on_shutdown(self, hook: Callable[[], Any]) -> Callable[[], Any]:
        """Call `hook` after it has ended."""
        self._hooks["shutdown"].append(hook)
        return hook

    def on_reload(self, hook: Callable[[], Any]) -> Callable[[], Any]:
        """Call `hook` at a reload."""
        self._settings["on_reload"] = lambda _server: hook()
        return hook

    def serve(
        self, spawn_target: Any = None, target_loader: Callable[[Any], Any] | None = None, wrap_loader: bool = True
    ) -> None:
        """Serve until Ctrl+C or TERM."""
        if spawn_target is not None:
            raise ValueError("spawn_target: an option of Granian that Oxicorn does not have")
        for hook in self._hooks["startup"]:
            hook()
        target = self.target
        if target_loader is not None:
            settings = {**self._settings, "app_factory": True}
            loader = target_loader
            own.supervise(lambda: loader(target) if wrap_loader else loader, settings)
        else:
            own.supervise(str(target) if isinstance(target, Path) else target, self._settings)
        for hook in self._hooks["shutdown"]:
            hook()


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in given.items() if value is not None}
    if lost := sorted(name for name in _REFUSED & given.keys() if given[name]):
        raise ValueError(f"{', '.join(lost)}: options of Granian that Oxicorn does not have")
    words = {name: str(value) if isinstance(value, Enum) else value for name, value in given.items()}
    interface = words.get("interface", "rsgi")
    if interface == "rsgi":
        raise ValueError("interface: RSGI is Granian's own protocol; give asgi or wsgi, with an application for that")
    if words.get("loop", "auto") not in ("auto", "asyncio", "uvloop"):
        raise ValueError(f"loop: {words['loop']!r} is not there; asyncio and uvloop are")
    found = {_SETTINGS[name]: value for name, value in words.items() if name in _SETTINGS}
    found["worker_class"] = "gthread" if interface == "wsgi" else "asgi"
    if interface == "asginl":
        found["asgi_lifespan"] = "off"
    if "loop" in words:
        found["asgi_loop"] = words["loop"]
    host, port = words["address"], words["port"]
    found["bind"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if words.get("uds"):
        found["bind"] = f"unix:{words['uds']}"
    if words.get("log_access"):
        found["accesslog"] = "-"
    level = str(words.get("log_level", "info"))
    found["loglevel"] = {"warn": "warning", "notset": "debug"}.get(level, level)
    ignored = sorted(words.keys() - _SETTINGS.keys() - _APART)
    if ignored:
        _oxicorn.say(logging.INFO, f"Of Granian's options {', '.join(ignored)} have no effect here")
    return found


Server = Granian


def main(*_arguments: Any) -> None:
    """Run the command line."""
    raise SystemExit("granian: its command line is not Oxicorn's; run oxicorn MODULE:APP --bind HOST:PORT")


entrypoint = cli = main

__all__ = ["Granian", "main"]
