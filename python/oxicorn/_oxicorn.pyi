"""Types of the extension module."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final, NoReturn, final

from typing_extensions import disjoint_base

from oxicorn.app.base import BaseApplication
from oxicorn.asgi import Lifespan

__all__ = [
    "Controls",
    "Input",
    "LocalServer",
    "Request",
    "Response",
    "__version__",
    "check_setting",
    "give_away",
    "main",
    "open_log",
    "parse_arguments",
    "say",
    "send_metric",
    "serve",
    "settings",
    "unknown_atoms",
    "uvicorn_settings",
    "write_log",
]

__version__: Final[str]

def main(argv: list[str]) -> int:
    """Run the command line `argv` (without the program's name) and return its exit status."""

def serve(application: BaseApplication) -> int:
    """Run the server that `application` configures, and return its exit status."""

def settings(hook: Callable[..., Any]) -> list[tuple[str, str, list[str], Any]]:
    """Every setting: name, section, flags, default; `hook` for hooks."""

def check_setting(name: str, value: Any) -> Any:
    """Return the value that the setting `name` has when `value` is given to it."""

def parse_arguments(argv: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the options of the command line `argv`, by setting, and its positional arguments."""

def uvicorn_settings(keywords: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what keywords of uvicorn's `Config` are here, and what has no effect, a sentence each."""

def unknown_atoms(layout: str) -> list[str] | None:
    """Name the atoms of an access log format that do not exist; None for what the server does not understand."""

def write_log(level: int, line: str) -> None:
    """Write one formatted line to the error log; `level` is that of `logging` and chooses the colour."""

@final
class Controls:
    """A worker's hold on its server."""

    def requests(self) -> int:
        """Return how many requests have come."""

    def recycle(self) -> None:
        """Ask for a successor."""

    def set_max_requests(self, number: int) -> None:
        """Set after how many requests the worker asks for a successor."""

    def notify(self) -> None:
        """Start the time-out anew."""

@final
class LocalServer:
    """A server in a process that is the program's own."""

    def __new__(cls, settings: dict[str, Any], sockets: list[tuple[int, str]]) -> LocalServer: ...
    def setting(self, name: str) -> Any:
        """Return the value of a setting that is in force."""

    def wanted(self) -> str | None:
        """Return the interface on which the settings insist."""

    def start_threads(self, application: Callable[..., Any]) -> list[threading.Thread]:
        """Start the threads that serve a WSGI application, and return them."""

    def join_loop(
        self,
        application: Callable[..., Any],
        event_loop: asyncio.AbstractEventLoop,
        lifespan: Lifespan,
        finished: Callable[[], None],
    ) -> None:
        """Have an event loop call an ASGI application that has started, and `finished` at the end of the server."""

    def leave_loop(self) -> tuple[list[asyncio.Task[Any]], float, float, BaseException | None]:
        """Return the tasks that are left, the seconds that they and the lifespan have, and what ended the server."""

    def stop(self) -> None:
        """End when the requests that have begun are answered."""

    def stop_now(self) -> None:
        """End at once."""

    def is_used_up(self) -> bool:
        """Whether as many requests have come as `max_requests` says."""

    def requests(self) -> int:
        """Return how many requests have come."""

    def exit_code(self) -> int:
        """Return what a view gave `sys.exit`, 0 by default."""

@final
class Input:
    """The body of a request, as `wsgi.input` has it."""

    @property
    def closed(self) -> bool: ...
    def read(self, size: int | None = None) -> bytes: ...
    def read1(self, size: int | None = None) -> bytes: ...
    def readinto(self, buffer: Any) -> int: ...
    def readinto1(self, buffer: Any) -> int: ...
    def readline(self, size: int | None = None) -> bytes: ...
    def readlines(self, hint: int | None = None, *, size: int | None = None) -> list[bytes]: ...
    def __iter__(self) -> Input: ...
    def __next__(self) -> bytes: ...
    def tell(self) -> int: ...
    def seek(self, offset: int, whence: int = 0) -> int: ...
    def readable(self) -> bool: ...
    def writable(self) -> bool: ...
    def seekable(self) -> bool: ...
    def isatty(self) -> bool: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Input: ...
    def __exit__(self, *_exception: object) -> None: ...
    def fileno(self) -> NoReturn: ...
    def detach(self) -> NoReturn: ...
    def write(self, *_arguments: object) -> NoReturn: ...
    def writelines(self, *_arguments: object) -> NoReturn: ...
    def truncate(self, *_arguments: object) -> NoReturn: ...

@disjoint_base
class Request:
    """A request, as hooks get it."""

    method: str
    uri: str
    path: str
    query: str
    fragment: str
    version: tuple[int, int]
    headers: list[tuple[str, str]]
    trailers: list[tuple[str, str]]
    remote_addr: Any
    peer_addr: Any
    proxy_protocol_info: Any
    scheme: str
    body: Any

@disjoint_base
class Response:
    """What became of a request, as hooks get it."""

    @property
    def status(self) -> str: ...
    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> list[tuple[str, str]]: ...
    @property
    def headers_sent(self) -> bool: ...
    @property
    def sent(self) -> int: ...
    @property
    def response_length(self) -> int | None: ...
    @property
    def chunked(self) -> bool: ...

def say(level: int, message: str) -> None:
    """Write a message to the error log as a line of the server's own, past Python's `logging`."""

def open_log(path: str, flags: int) -> int:
    """Open a file of the log with flags of `os.open`; root uses fewer rights where others can change a directory."""

def give_away(file: Any) -> None:
    """Give an open file of the log to the workers' user."""

def send_metric(metric: str) -> None:
    """Send a metric, written down without prefix and tags, where `statsd_host` is set."""
