"""Hypercorn's names for programs: `hypercorn.config.Config`, `hypercorn.asyncio.serve`, `hypercorn.run.run`."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from oxicorn import server as own

__version__ = "0.18.0"
"""Whose interface is meant."""

_SETTINGS = {
    "accesslog": "accesslog",
    "access_log_format": "access_log_format",
    "backlog": "backlog",
    "ca_certs": "ca_certs",
    "certfile": "certfile",
    "ciphers": "ciphers",
    "errorlog": "errorlog",
    "graceful_timeout": "graceful_timeout",
    "group": "group",
    "include_date_header": "date_header",
    "include_server_header": "server_header",
    "keep_alive_timeout": "keepalive",
    "keyfile": "keyfile",
    "logconfig": "logconfig",
    "logconfig_dict": "logconfig_dict",
    "loglevel": "loglevel",
    "max_requests": "max_requests",
    "max_requests_jitter": "max_requests_jitter",
    "pid_path": "pidfile",
    "root_path": "root_path",
    "umask": "umask",
    "use_reloader": "reload",
    "user": "user",
    "websocket_max_message_size": "websocket_max_message_size",
    "websocket_ping_interval": "ws_ping_interval",
    "workers": "workers",
}
"""What its options are here."""

_ARBITER = ("group", "pidfile", "reload", "umask", "user", "workers")
"""What a server in the program's own process has no use for."""

_WITHOUT_EFFECT = {
    *(
        "alpn_protocols",
        "alt_svc_headers",
        "debug",
        "dogstatsd_tags",
        "h11_max_incomplete_size",
        "h11_pass_raw_headers",
    ),
    *("h2_max_concurrent_streams", "h2_max_header_list_size", "h2_max_inbound_frame_size", "keep_alive_max_requests"),
    *("max_app_queue_size", "read_timeout", "server_names", "shutdown_timeout", "ssl_handshake_timeout"),
    *("startup_timeout", "statsd_host", "statsd_prefix", "wsgi_max_body_size", "application_path", "worker_class"),
    *("quic_bind", "insecure_bind", "verify_mode", "verify_flags", "keyfile_password", "logger_class", "ssl_enabled"),
}


class Config:
    """Hypercorn's settings, each an attribute; what was not set is Oxicorn's default."""

    def __init__(self) -> None:
        """Start with nothing set."""
        self._bind = ["127.0.0.1:8000"]

    @property
    def bind(self) -> list[str]:
        """The addresses to listen on."""
        return self._bind

    @bind.setter
    def bind(self, value: list[str] | str) -> None:
        self._bind = [value] if isinstance(value, str) else list(value)

    def __getattr__(self, name: str) -> Any:
        """Return nothing for a setting that was not set."""
        if name in _SETTINGS or name in _WITHOUT_EFFECT:
            return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any] | None = None, **keywords: Any) -> Config:
        """Return one with what the mapping and the keywords set."""
        config = cls()
        for name, value in {**(mapping or {}), **keywords}.items():
            setattr(config, name, value)
        return config

    @classmethod
    def from_object(cls, instance: object) -> Config:
        """Return one with the attributes of a module or another object."""
        names = [name for name in dir(instance) if not name.startswith("_")]
        values = {name: getattr(instance, name) for name in names}
        return cls.from_mapping({name: value for name, value in values.items() if not isinstance(value, ModuleType)})

    @classmethod
    def from_pyfile(cls, filename: str) -> Config:
        """Return one with the literals that a file of Python sets."""
        found: dict[str, Any] = {}
        for statement in ast.parse(Path(filename).read_text()).body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                found[statement.targets[0].id] = ast.literal_eval(statement.value)
        return cls.from_mapping(found)

    def settings(self) -> dict[str, Any]:
        """Return what this is to Oxicorn, or raise `ValueError` with what it does not have."""
        given = {name: value for name, value in vars(self).items() if name != "_bind" and value is not None}
        if unknown := sorted(given.keys() - _SETTINGS.keys() - _WITHOUT_EFFECT):
            raise ValueError(f"{', '.join(unknown)}: options of Hypercorn that Oxicorn does not have")
        if refused := sorted({"quic_bind", "insecure_bind"} & given.keys()):
            raise ValueError(f"{', '.join(refused)}: options of Hypercorn that Oxicorn does not have")
        found = {_SETTINGS[name]: value for name, value in given.items() if name in _SETTINGS}
        return {**found, "bind": self._bind}


async def serve(
    app: Any,
    config: Config,
    *,
    shutdown_trigger: Callable[..., Awaitable[Any]] | None = None,
    mode: str | None = None,
) -> None:
    """Serve on the running event loop until `shutdown_trigger` returns, or the task is cancelled."""
    del mode
    settings = {name: value for name, value in config.settings().items() if name not in _ARBITER}
    server = own.Server(app, **settings)
    if shutdown_trigger is None:
        with server.stopped_by_signals():
            await server.serve()
        return
    async with server:
        waiting = asyncio.ensure_future(server.wait())
        trigger = asyncio.ensure_future(shutdown_trigger())
        try:
            await asyncio.wait({waiting, trigger}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            trigger.cancel()


def run(config: Config) -> int:
    """Serve the application that `application_path` names."""
    settings = config.settings()
    path = config.application_path
    if path is None:
        raise ValueError("application_path: not set")
    own.supervise(path, settings)
    return 0


def main(*_arguments: Any) -> None:
    """Run the command line."""
    raise SystemExit("hypercorn: its command line is not Oxicorn's; run oxicorn MODULE:APP --bind HOST:PORT")


__all__ = ["Config", "main", "run", "serve"]
