"""uvicorn's names for programs: `run`, `Config` and `Server`, over `oxicorn.server.Server`."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import logging
import logging.config
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from oxicorn import _oxicorn, asgi
from oxicorn import server as own
from oxicorn.app_loader import load
from oxicorn.errors import AppError

__version__ = "0.54.0"
"""Whose interface is meant."""

STARTUP_FAILURE = 3
_TICK_S = 0.1
"""How often a server looks at `should_exit`, uvicorn's pace."""

LOG_LEVELS = {
    **{name: getattr(logging, name.upper()) for name in ("critical", "error", "warning", "info", "debug")},
    "trace": 5,
}

LOGGING_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "default": {"()": "uvicorn.logging.DefaultFormatter", "fmt": "%(levelprefix)s %(message)s", "use_colors": None},
        "access": {
            "()": "uvicorn.logging.AccessFormatter",
            "fmt": '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s',
        },
    },
    "handlers": {
        "default": {"formatter": "default", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"},
        "access": {"formatter": "access", "class": "logging.StreamHandler", "stream": "ext://sys.stdout"},
    },
    "loggers": {
        "uvicorn": {"handlers": ["default"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "INFO"},
        "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
    },
}
"""What programs take as the base of a configuration of their own."""

_USUAL_LOGGING = copy.deepcopy(LOGGING_CONFIG)

_DEFAULTS: dict[str, Any] = {
    "loop": "auto",
    "http": "auto",
    "http2": False,
    "ws": "auto",
    "ws_max_size": 16 * 1024 * 1024,
    "ws_max_queue": 32,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    "ws_per_message_deflate": True,
    "lifespan": "auto",
    "env_file": None,
    "log_config": LOGGING_CONFIG,
    "log_level": None,
    "access_log": True,
    "use_colors": None,
    "interface": "auto",
    "reload": False,
    "reload_dirs": None,
    "reload_delay": 0.25,
    "reload_includes": None,
    "reload_excludes": None,
    "workers": None,
    "proxy_headers": True,
    "server_header": True,
    "date_header": True,
    "forwarded_allow_ips": None,
    "root_path": "",
    "limit_concurrency": None,
    "limit_max_requests": None,
    "limit_max_requests_jitter": 0,
    "backlog": 2048,
    "timeout_keep_alive": 5,
    "timeout_notify": 30,
    "timeout_graceful_shutdown": None,
    "timeout_worker_healthcheck": 5,
    "callback_notify": None,
    "ssl_keyfile": None,
    "ssl_certfile": None,
    "ssl_keyfile_password": None,
    "ssl_version": None,
    "ssl_cert_reqs": None,
    "ssl_ca_certs": None,
    "ssl_ciphers": None,
    "ssl_context_factory": None,
    "headers": None,
    "factory": False,
    "h11_max_incomplete_event_size": None,
    "reset_contextvars": False,
}

_REFUSED = ("http2", "callback_notify", "ssl_context_factory", "ssl_keyfile_password")
"""What would change how the program works, and is not there."""

_APART = {"log_config", "log_level", "loop", "reload", "workers", "access_log", "interface", "ssl_version", *_REFUSED}
"""What is translated here, and not by the table of the settings."""


class Config:
    """uvicorn's settings, each an attribute."""

    def __init__(
        self,
        app: Any,
        host: str = "127.0.0.1",
        port: int = 8000,
        uds: str | None = None,
        fd: int | None = None,
        **keywords: Any,
    ) -> None:
        """Take the keywords that uvicorn has."""
        if unknown := keywords.keys() - _DEFAULTS.keys():
            raise TypeError(f"Config.__init__() got an unexpected keyword argument {min(unknown)!r}")
        self.app, self.host, self.port, self.uds, self.fd = app, host, port, uds, fd
        self.__dict__.update({**_DEFAULTS, **keywords})
        self.workers = keywords.get("workers") or 1
        self.loaded = False
        self.loaded_app: Any = None
        self.configure_logging()

    def __getattr__(self, name: str) -> Any:
        """Say that there is no such setting."""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def is_ssl(self) -> bool:
        """Whether TLS is spoken."""
        return bool(self.ssl_keyfile or self.ssl_certfile)

    @property
    def should_reload(self) -> bool:
        """Whether files are watched."""
        return isinstance(self.app, str) and bool(self.reload)

    @property
    def use_subprocess(self) -> bool:
        """Whether there are workers."""
        return bool(self.reload or self.workers > 1)

    def load(self) -> None:
        """Import the application, where it is named by a string."""
        if isinstance(self.app, str):
            self.loaded_app = load(self.app, factory=self.factory)[0]
        else:
            self.loaded_app = self.app() if self.factory else self.app
        self.loaded = True

    def configure_logging(self) -> None:
        """Configure Python's `logging`, where that is meant to be other than usual."""
        given = self.log_config
        if given is None or given == _USUAL_LOGGING:
            return
        if isinstance(given, dict):
            logging.config.dictConfig(given)
        elif str(given).endswith(".json"):
            logging.config.dictConfig(json.loads(Path(given).read_text()))
        elif str(given).endswith((".yaml", ".yml")):
            raise ValueError("log_config: YAML is not read; give what the file says as a dictionary")
        else:
            logging.config.fileConfig(given, disable_existing_loggers=False)

    def get_loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop]:
        """Return what makes the event loop."""
        return lambda: asgi.new_loop(_loop(self.loop))

    def bind_socket(self) -> socket.socket:
        """Return a socket for the address, bound and not listening."""
        if self.fd is not None:
            return socket.socket(fileno=self.fd)
        if self.uds is not None:
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(self.uds)
            return sock
        sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.host, self.port))
        sock.set_inheritable(True)
        return sock

    def settings(self) -> dict[str, Any]:
        """Return what this is to Oxicorn, and tell what has no effect."""
        changed = {name: getattr(self, name) for name, usual in _DEFAULTS.items() if getattr(self, name) != usual}
        lost = [name for name in _REFUSED if name in changed]
        if lost:
            raise ValueError(f"{', '.join(lost)}: options of uvicorn that Oxicorn does not have")
        found, notices = _oxicorn.uvicorn_settings({k: v for k, v in changed.items() if k not in _APART})
        for notice in notices:
            _oxicorn.say(logging.INFO, notice.partition(" (from ")[0])
        if self.interface != "wsgi":
            # uvicorn's limits hold under its names.
            found["worker_class"] = "uvicorn.workers.UvicornWorker"
        found["accesslog"] = "-" if self.access_log else None
        found["loglevel"] = _level(self.log_level)
        found["asgi_loop"] = _loop(self.loop)
        found["reload"] = bool(self.reload)
        found["workers"] = self.workers
        found["bind"] = self._bind()
        return found

    def _bind(self) -> str:
        if self.uds is not None:
            return f"unix:{self.uds}"
        if self.fd is not None:
            return f"fd://{self.fd}"
        host = self.host or "0.0.0.0"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def _loop(kind: Any) -> str:
    if kind in ("auto", "asyncio", "uvloop"):
        return str(kind)
    if kind == "none":
        return "asyncio"
    raise ValueError(f"loop: {kind!r} is not valid: expected auto, asyncio, uvloop or none")


def _level(given: Any) -> str:
    if given is None:
        return "info"
    if isinstance(given, int):
        given = logging.getLevelName(given)
    name = str(given).lower()
    return "debug" if name == "trace" or name.startswith("level") else name


class Server:
    """A server in the process of its program, on the event loop that runs `serve`."""

    def __init__(self, config: Config) -> None:
        """Prepare to serve."""
        self.config = config
        self.started = self.should_exit = self.force_exit = False
        self.servers: list[Any] = []
        self.server_state = SimpleNamespace(total_requests=0, connections=set(), tasks=set(), default_headers=[])
        self._captured_signals: list[int] = []
        self._served: own.Server | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on an event loop of its own."""
        loop = self.config.get_loop_factory()()
        try:
            loop.run_until_complete(self.serve(sockets=sockets))
        finally:
            asgi.close(loop)
            asyncio.set_event_loop(None)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`; in the main thread, until Ctrl+C or TERM as well."""
        with self.capture_signals():
            if not self.config.loaded:
                self.config.load()
            try:
                await self.startup(sockets=sockets)
                if not self.should_exit:
                    await self.main_loop()
            finally:
                if self._served is not None:
                    await self.shutdown(sockets=sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and wait until the application has started."""
        settings = self.config.settings()
        for name in ("workers", "reload"):
            del settings[name]
        settings.pop("app_factory", None)
        if sockets is not None:
            del settings["bind"]
        served = own.Server(self.config.loaded_app, sockets=sockets, **settings)
        try:
            await served.__aenter__()
        except (AppError, OSError) as error:
            _oxicorn.say(logging.ERROR, str(error))
            sys.exit(STARTUP_FAILURE)
        self._served = served
        self.servers = [SimpleNamespace(sockets=served.sockets, is_serving=lambda: True, close=served.stop)]
        _oxicorn.say(logging.INFO, f"Listening at: {served.url} (Press CTRL+C to quit)")
        self.started = True

    async def main_loop(self) -> None:
        """Wait until it is time to go."""
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            await asyncio.sleep(_TICK_S)

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to go."""
        del counter
        if self._served is None:
            return True
        self.server_state.total_requests = self._served.requests
        return self.should_exit or self._served.is_ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, and wait for requests and lifespan."""
        del sockets
        served, self._served = self._served, None
        if served is None:
            return
        ending = asyncio.ensure_future(served.__aexit__(None, None, None))
        while not ending.done():
            if self.force_exit:
                served.stop_now()
            await asyncio.wait({ending}, timeout=_TICK_S)
        ending.result()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have signals end the server, and mean what they did before once it has ended."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        for captured in reversed(self._captured_signals):
            signal.raise_signal(captured)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; a second Ctrl+C ends at once."""
        del frame
        self._captured_signals.append(sig)
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def run(app: Any, *, app_dir: str | None = None, **keywords: Any) -> None:
    """Serve `app`: in this process, or with `workers` or `reload` as the arbiter of workers."""
    if app_dir is not None:
        sys.path.insert(0, app_dir)
    config = Config(app, **keywords)
    if config.use_subprocess and not isinstance(app, str):
        logging.getLogger("uvicorn.error").warning(
            "You must pass the application as an import string to enable 'reload' or 'workers'."
        )
        sys.exit(1)
    if config.use_subprocess:
        own.supervise(app, config.settings())
        return
    server = Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def main(args: list[str] | None = None) -> None:
    """Run the command line of uvicorn."""
    from oxicorn import stand_ins

    if args is not None:
        sys.argv[1:] = args
    stand_ins.run("uvicorn")


class ColourizedFormatter(logging.Formatter):
    """uvicorn's formatter, without colours."""

    def __init__(self, fmt: str | None = None, datefmt: str | None = None, style: Any = "%", use_colors: Any = None):
        """Take what uvicorn's takes."""
        super().__init__(fmt, datefmt, style)
        self.use_colors = bool(use_colors)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Fill in what uvicorn's formats ask for."""
        record.levelprefix = f"{record.levelname}:".ljust(9)
        if len(record.args or ()) == 5 and isinstance(record.args, tuple):
            client, method, path, version, status = record.args
            record.client_addr, record.status_code = client, status
            record.request_line = f"{method} {path} HTTP/{version}"
        return super().formatMessage(record)


DefaultFormatter = AccessFormatter = ColourizedFormatter

__all__ = ["Config", "Server", "main", "run"]
