"""Servers that programs start themselves: `run`, `serve` on an event loop that is there, and `Server` for tests.

A `Server` lives in the process of its program: no arbiter watches it, and it forks nothing. `run` starts the whole
server, arbiter and workers, where the application is named by a string or more than one worker is wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from oxicorn import _oxicorn, asgi
from oxicorn.app.base import BaseApplication
from oxicorn.app_loader import load, load_by
from oxicorn.errors import AppError
from oxicorn.util import parse_address

Application = Callable[..., Any]
"""An application of WSGI or of ASGI."""

_BACKLOG = 2048
_AT_EXIT_S = 2.0
"""How long the end of the interpreter waits for a server in another thread."""
_USED_UP_S = 0.5
"""How often a server looks whether it has served `max_requests`."""


def run(
    app: str | Application, *, host: str | None = None, port: int | None = None, uds: str | None = None, **settings: Any
) -> None:
    """Serve `app` until Ctrl+C or TERM, with `settings` under their names in a conf file.

    An application object is served in this process. With a string, more than one worker or `reload`, this process
    becomes the arbiter, which has to be its main thread; workers leave the program by `SystemExit`.
    """
    settings = _addressed(host, port, uds, 8000, settings)
    if isinstance(app, str) or settings.get("reload") or int(settings.get("workers") or 1) > 1:
        supervise(app, settings)
        return
    settings.setdefault("bind", "127.0.0.1:8000")
    Server(app, **settings).run()


async def serve(app: str | Application, sock: socket.socket | None = None, **settings: Any) -> None:
    """Serve `app` on the running event loop, and on `sock` where that is given, until the task is cancelled."""
    await Server(app, sockets=None if sock is None else [sock], **settings).serve()


def supervise(app: str | Application, settings: dict[str, Any]) -> None:
    """Become the arbiter of workers that serve `app`; return at its orderly end."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("workers are started by the main thread; an application object is served in any thread")
    arbiter = os.getpid()
    code = _oxicorn.serve(_Program(app, settings))
    if code != 0 or os.getpid() != arbiter:
        sys.exit(code)


class _Program(BaseApplication):
    """The program that called `run`."""

    def __init__(self, app: str | Application, settings: dict[str, Any]) -> None:
        self._app, self._settings = app, settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)
        if isinstance(self._app, str):
            self.cfg.set("default_proc_name", self._app)

    def load(self) -> Application:
        if not isinstance(self._app, str):
            return self._app() if self.cfg.app_factory else self._app
        return load(self._app, factory=bool(self.cfg.app_factory))[0]


def _addressed(
    host: str | None, port: int | None, uds: str | None, usual_port: int, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return `settings` with the address that its parts make."""
    if host is None and port is None and uds is None:
        return dict(settings)
    if "bind" in settings or (uds is not None and (host is not None or port is not None)):
        raise ValueError("give one of bind, host with port, and uds")
    host = "127.0.0.1" if host is None else host
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return {**settings, "bind": f"unix:{uds}" if uds is not None else f"{shown}:{usual_port if port is None else port}"}


class Server:
    """A server in this process.

    As a context manager it serves in threads of its own, as an asynchronous one on the running event loop; `url` is
    where. Without an address it takes a free port of 127.0.0.1. `run` serves in the calling thread.
    """

    def __init__(
        self,
        app: str | Application,
        *,
        host: str | None = None,
        port: int | None = None,
        uds: str | None = None,
        sockets: Sequence[socket.socket] | None = None,
        **settings: Any,
    ) -> None:
        """Prepare to serve `app`: on `sockets` where they are given, with `settings` named as in a conf file."""
        self._app = app
        self._settings = _addressed(host, port, uds, 0, settings)
        self._given = sockets
        self._bound: list[_Bound] = []
        self._native: _oxicorn.LocalServer | None = None
        self._threads: list[threading.Thread] = []
        self._lifespan: asgi.Lifespan | None = None
        self._ended: asyncio.Future[Any] | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stops = 0
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._closed = threading.Event()

    @property
    def started(self) -> bool:
        """Whether it serves, or has served."""
        return self._ready.is_set() and self._failure is None

    @property
    def sockets(self) -> list[socket.socket]:
        """The sockets that it listens on."""
        return [bound.socket for bound in self._bound]

    @property
    def address(self) -> tuple[str, int] | str:
        """Where it listens: host and port, or the path of a Unix socket."""
        if not self._bound:
            raise RuntimeError("the server has no address before it is started")
        name = self._bound[0].socket.getsockname()
        return name if isinstance(name, str) else (name[0], name[1])

    @property
    def url(self) -> str:
        """The same for a client; a Unix socket is `unix:PATH`."""
        address = self.address
        if isinstance(address, str):
            return f"unix:{address}"
        host, port = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0]), address[1]
        scheme = "https" if self._settings.get("certfile") else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    @property
    def requests(self) -> int:
        """How many requests have come."""
        return 0 if self._native is None else self._native.requests()

    @property
    def is_ending(self) -> bool:
        """Whether it has been told to stop, or has ended."""
        return self._stops > 0 or (self._ended is not None and self._ended.done())

    def listen(self) -> None:
        """Listen already: clients wait until the server is started, and `address` is known."""
        if self._bound:
            return
        backlog = int(self._settings.get("backlog") or _BACKLOG)
        if self._given is not None:
            self._bound = [_Bound(sock, None, backlog) for sock in self._given]
            return
        wanted = self._settings.get("bind", "127.0.0.1:0")
        for address in wanted.split(",") if isinstance(wanted, str) else list(wanted):
            self._bound.append(_bind(address, backlog))

    def stop(self) -> None:
        """End when the requests that have begun are answered. Any thread may call it, a signal handler too."""
        self._stops = max(self._stops, 1)
        if self._native is not None:
            self._native.stop()

    def stop_now(self) -> None:
        """End at once: connections are closed, and tasks of requests cancelled."""
        self._stops = 2
        if self._native is not None:
            self._native.stop_now()

    def run(self) -> None:
        """Serve in the calling thread until `stop`; in the main thread, until Ctrl+C or TERM as well."""
        with self.stopped_by_signals():
            app, interface = self._open()
            _oxicorn.say(logging.INFO, f"Listening at: {self.url} ({os.getpid()})")
            if interface == "wsgi":
                self._start_threads(app)
                self._join()
            else:
                self._on_a_loop(app)
        self._leave()

    async def serve(self) -> None:
        """Serve on the running event loop until `stop`, or until the task is cancelled."""
        async with self:
            await self.wait()

    async def wait(self) -> None:
        """Wait for the end of the server, on the event loop that serves."""
        assert self._ended is not None
        # In contrast to the future itself, it is not cancelled with the task that waits.
        await asyncio.wait({self._ended})
        self._ended.result()

    def __enter__(self) -> Server:
        """Start, and return when the application has started."""
        app, interface = self._open()
        if interface == "wsgi":
            self._start_threads(app)
            return self
        thread = threading.Thread(target=self._live, args=(app,), name="oxicorn-loop")
        self._threads = [thread]
        thread.start()
        self._ready.wait()
        if self._failure is not None:
            thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and wait for the end."""
        self.stop()
        self._join()
        if kind is None:
            self._leave()

    async def __aenter__(self) -> Server:
        """Start on the running event loop, and return when the application has started."""
        app, interface = self._open()
        loop = asyncio.get_running_loop()
        if interface == "wsgi":
            self._start_threads(app)
            self._ended = asyncio.ensure_future(loop.run_in_executor(None, self._join))
        else:
            await self._start_on(loop, app)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and wait for the end."""
        self.stop()
        try:
            await self._finish()
        except asyncio.CancelledError:
            self.stop_now()
            await self._finish()
            raise
        if kind is None:
            self._leave()

    def _open(self) -> tuple[Application, str]:
        """Listen and load the application; return it with its interface."""
        if self._native is not None:
            raise RuntimeError("a Server serves once; make another")
        try:
            self.listen()
            pairs = [(bound.socket.fileno(), bound.spelling) for bound in self._bound]
            settings = {**self._settings, "bind": [spelling for _, spelling in pairs]}
            native = _oxicorn.LocalServer(settings, pairs)
            app, interface = self._load(native)
        except BaseException:
            self._close()
            raise
        self._native = native
        return app, interface

    def _load(self, native: _oxicorn.LocalServer) -> tuple[Application, str]:
        wanted = native.wanted()
        if isinstance(self._app, str):
            return load(self._app, wanted, factory=bool(native.setting("app_factory")))
        app = self._app
        make = app if native.setting("app_factory") else lambda: app
        return load_by(make, "the program", wanted)

    def _start_threads(self, app: Application) -> None:
        native = self._use()
        self._threads = native.start_threads(app)
        self._has_started()

    def _join(self) -> None:
        for thread in self._threads:
            while thread.is_alive():
                thread.join(_USED_UP_S)
                self._stop_if_used_up()
        self._close()

    def _live(self, app: Application) -> None:
        try:
            self._on_a_loop(app)
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    def _on_a_loop(self, app: Application) -> None:
        """Serve on an event loop of the calling thread's own, to its end."""
        loop = asgi.new_loop(str(self._use().setting("asgi_loop")))
        try:
            loop.run_until_complete(self._whole_life(loop, app))
        finally:
            asgi.close(loop)
            asyncio.set_event_loop(None)

    async def _whole_life(self, loop: asyncio.AbstractEventLoop, app: Application) -> None:
        await self._start_on(loop, app)
        await self.wait()
        await self._finish()

    async def _start_on(self, loop: asyncio.AbstractEventLoop, app: Application) -> None:
        native = self._use()
        app = asgi.single_callable(app)
        ended: asyncio.Future[None] = loop.create_future()
        self._ended = ended

        def finished() -> None:
            if not ended.done():
                ended.set_result(None)

        lifespan = asgi.Lifespan(app, str(native.setting("asgi_lifespan")))
        try:
            await lifespan.startup()
            native.join_loop(app, loop, lifespan, finished)
        except BaseException:
            self._close()
            raise
        self._lifespan = lifespan
        self._has_started()
        self._look(loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look now and then whether the server has served as many requests as it may."""
        if self._ended is not None and not self._ended.done():
            self._stop_if_used_up()
            loop.call_later(_USED_UP_S, self._look, loop)

    async def _finish(self) -> None:
        await self.wait()
        if self._lifespan is None:
            return
        lifespan, self._lifespan = self._lifespan, None
        tasks, patience_s, lifespan_s, error = self._use().leave_loop()
        await asgi.finish_all(set(tasks), patience_s)
        await lifespan.shutdown(lifespan_s)
        self._close()
        if error is not None:
            raise error

    def _use(self) -> _oxicorn.LocalServer:
        assert self._native is not None
        return self._native

    def _has_started(self) -> None:
        self._thread, self._pid = threading.current_thread(), os.getpid()
        _running.add(self)
        _stop_at_exit()
        self._ready.set()
        # It may have been told to stop before it could.
        if self._stops:
            self.stop_now() if self._stops > 1 else self.stop()

    def _stop_if_used_up(self) -> None:
        if self._use().is_used_up():
            self.stop()

    def _close(self) -> None:
        for bound in self._bound:
            bound.close()
        self._closed.set()
        _running.discard(self)

    def _leave(self) -> None:
        """Raise what has ended the server: the start's failure, or `sys.exit` in a view."""
        if self._failure is not None:
            raise self._failure
        if code := self._use().exit_code():
            sys.exit(code)

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """In the main thread, have Ctrl+C and TERM end the server."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, frame: FrameType | None) -> None:
            del number, frame
            self.stop_now() if self._stops else self.stop()

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Bound:
    """A socket that the server listens on."""

    def __init__(self, sock: socket.socket, path: str | None, backlog: int) -> None:
        """`path` is the name of a Unix socket that goes with it."""
        self.socket, self._path = sock, path
        sock.listen(backlog)
        sock.setblocking(False)
        name = sock.getsockname()
        self.spelling = _spelled(name)

    def close(self) -> None:
        """Close it; once is enough."""
        if self.socket.fileno() >= 0 and self._path is not None:
            Path(self._path).unlink(missing_ok=True)
        self.socket.close()


def _spelled(name: Any) -> str:
    if not isinstance(name, tuple):
        return f"unix:{name or '(unnamed)'}"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _bind(address: str, backlog: int) -> _Bound:
    where = parse_address(address.strip())
    target: Any
    if isinstance(where, int):
        return _Bound(socket.socket(fileno=os.dup(where)), None, backlog)
    if isinstance(where, str):
        family, target = socket.AF_UNIX, where
        _make_way(where)
    else:
        host, port = where
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        family, target = found[0], found[4]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        return _Bound(sock, where if isinstance(where, str) else None, backlog)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from error


def _make_way(path: str) -> None:
    """Remove the name of a Unix socket on which nothing listens any more."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)


_running: weakref.WeakSet[Server] = weakref.WeakSet()
"""Servers that the end of the interpreter stops: it waits for their threads."""

_registered = False


def _stop_at_exit() -> None:
    global _registered
    if not _registered:
        _registered = True
        # Called before the interpreter waits for threads, as executors have it; `atexit` comes after.
        threading._register_atexit(_stop_all)  # type: ignore[attr-defined]


def _stop_all() -> None:
    # A process that the program has forked has copies of its servers, and none of their threads.
    servers = [server for server in _running if server._pid == os.getpid()]
    for server in servers:
        server.stop_now()
    for server in servers:
        # The interpreter does not wait for a daemon, and must not find one inside native code at its end.
        if server._thread not in (None, threading.current_thread()):
            server._closed.wait(_AT_EXIT_S)


__all__ = ["AppError", "Server", "run", "serve"]
