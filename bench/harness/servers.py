"""The servers: how each is started with one worker, and why with these options.

Every server has one process that answers, writes no access log unless its name says so, and otherwise keeps its
defaults.
An option stands here only because the server needs it to be comparable, or is faster with it.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

from harness.cases import APPS, Case

# (interpreter, module of the application, port) -> command line.
Command = Callable[[pathlib.Path, str, int], list[str]]


@dataclasses.dataclass(frozen=True)
class Server:
    """A row of the report. `package` is its name in the registry."""

    name: str
    package: str
    note: str
    command: Command
    interface: str = "wsgi"
    # A server that differs from another in one option is compared on one case.
    only: str | None = None

    def serves(self, case: Case) -> bool:
        """Whether it takes part in a case."""
        return self.interface == case.interface and self.only in (None, case.name)


def _gunicorn_like(package: str, *options: str) -> Command:
    def command(python: pathlib.Path, module: str, port: int) -> list[str]:
        bind = ["--workers", "1", "--bind", f"127.0.0.1:{port}"]
        return [str(python), "-m", package, *bind, *options, f"{module}:app"]

    return command


def _granian(interface: str, *options: str) -> Command:
    def command(python: pathlib.Path, module: str, port: int) -> list[str]:
        place = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        protocol = ["--interface", interface, "--http", "1"]
        return [str(python), "-m", "granian", *place, *protocol, *options, f"{module}:app"]

    return command


def _uvicorn(python: pathlib.Path, module: str, port: int) -> list[str]:
    place = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    parts = ["--http", "httptools", "--loop", "uvloop", "--ws", "websockets"]
    return [str(python), "-m", "uvicorn", *place, *parts, "--no-access-log", f"{module}:app"]


def _peregrine(python: pathlib.Path, module: str, port: int) -> list[str]:
    return [str(python.parent / "peregrine"), "--host", "127.0.0.1", "--port", str(port), f"{module}:app"]


def _weft(python: pathlib.Path, module: str, port: int) -> list[str]:
    place = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [str(python.parent / "weft"), *place, f"{module}:app"]


def _fastpysgi(python: pathlib.Path, module: str, port: int) -> list[str]:
    return [str(python.parent / "fastpysgi"), "--host", "127.0.0.1", "--port", str(port), f"{module}:app"]


def _nginx(_python: pathlib.Path, _module: str, port: int) -> list[str]:
    answer = 'types { } default_type text/plain; location / { return 200 "Hello, world!"; }'
    http = f"access_log off; keepalive_requests 1000000000; server {{ listen 127.0.0.1:{port}; {answer} }}"
    paths = " ".join(
        f"{kind}_temp_path {{scratch}}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = f"daemon off; pid {{scratch}}/pid; events {{ }} http {{ {paths} {http} }}"
    # The configuration must be a file, and its `listen` takes no variable.
    start = 'printf %s "$0" > {scratch}/nginx.conf && exec nginx -p {scratch} -e stderr -c nginx.conf'
    return ["sh", "-c", start, configuration]


def _bjoern(python: pathlib.Path, module: str, port: int) -> list[str]:
    return [str(python), str(APPS / "run_bjoern.py"), module, str(port)]


def _uwsgi(*options: str) -> Command:
    def command(python: pathlib.Path, module: str, port: int) -> list[str]:
        filled = [option.format(port=port) for option in options]
        common = ["--processes", "1", "--disable-logging", "--need-app", "--die-on-term"]
        return [str(python.parent / "uwsgi"), *filled, *common, "--module", f"{module}:app"]

    return command


_CLOSING = ("--http-socket", "127.0.0.1:{port}", "--add-header", "Connection: close")
_KEEPING = ("--http11-socket", "127.0.0.1:{port}")

SERVERS = {
    server.name: server
    for server in (
        Server(
            "oxicorn-sync",
            "oxicorn",
            "defaults",
            _gunicorn_like("oxicorn", "-k", "sync"),
        ),
        Server(
            "oxicorn-gthread",
            "oxicorn",
            "four threads",
            _gunicorn_like("oxicorn", "-k", "gthread", "--threads", "4"),
        ),
        Server(
            "gunicorn-sync",
            "gunicorn",
            "defaults; this worker closes the connection after each answer",
            _gunicorn_like("gunicorn", "-k", "sync"),
        ),
        Server(
            "gunicorn-gthread",
            "gunicorn",
            "four threads",
            _gunicorn_like("gunicorn", "-k", "gthread", "--threads", "4"),
        ),
        Server(
            "granian",
            "granian",
            "one Python thread; HTTP/1 without WebSockets, so that no request is probed for them",
            _granian("wsgi", "--blocking-threads", "1", "--no-ws"),
        ),
        Server(
            "bjoern",
            "bjoern",
            "defaults; it has no command line, apps/run_bjoern.py is its documented first example",
            _bjoern,
        ),
        Server("peregrine", "peregrine-server", "defaults", _peregrine),
        Server("weft", "weft-server", "defaults", _weft),
        Server("fastpysgi", "fastpysgi", "defaults", _fastpysgi),
        Server(
            "nginx",
            "nginx",
            "`return 200`: no Python at all, the cost of the kernel and of an HTTP parser",
            _nginx,
            only="hello",
        ),
        Server(
            "uwsgi",
            "uwsgi",
            "--http-socket cannot keep a connection, so it is made to say so in its answers",
            _uwsgi(*_CLOSING),
        ),
        Server(
            "uwsgi-http11",
            "uwsgi",
            "--http11-socket keeps a connection and serves no other until it ends: in effect -c1",
            _uwsgi(*_KEEPING),
        ),
        Server(
            "oxicorn-sync-log",
            "oxicorn",
            "with its access log written to a file",
            _gunicorn_like("oxicorn", "-k", "sync", "--access-logfile", "{scratch}/access.log"),
            only="hello",
        ),
        Server(
            "oxicorn-asyncio",
            "oxicorn",
            "on asyncio's own loop",
            _gunicorn_like("oxicorn", "-k", "asgi", "--asgi-loop", "asyncio"),
            "asgi",
        ),
        Server(
            "oxicorn-uvloop",
            "oxicorn",
            "on uvloop, which it takes where it is installed",
            _gunicorn_like("oxicorn", "-k", "asgi", "--asgi-loop", "uvloop"),
            "asgi",
        ),
        Server(
            "gunicorn-asgi",
            "gunicorn",
            "on uvloop, which it takes where it is installed",
            _gunicorn_like("gunicorn", "-k", "asgi"),
            "asgi",
        ),
        Server(
            "granian-asgi",
            "granian",
            "on uvloop; one runtime thread, its default",
            _granian("asgi", "--loop", "uvloop"),
            "asgi",
        ),
        Server(
            "peregrine-asgi", "peregrine-server", "on uvloop, which it takes where it is installed", _peregrine, "asgi"
        ),
        Server("weft-asgi", "weft-server", "defaults", _weft, "asgi"),
        Server(
            "uvicorn",
            "uvicorn",
            "its fastest parts: httptools and uvloop",
            _uvicorn,
            "asgi",
        ),
    )
}
