"""A server as a subprocess: its command line, its log, its address, its processes, its end.

The command is `python -m oxicorn` of the interpreter that runs the tests; `OXICORN_TEST_SERVER`
(for instance `gunicorn`) puts another one in its place, to see what that one does.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import httpx

from . import processes
from .poll import eventually
from .wire import Address, Reply, Wire

#: How long a server may take from its start to its first answer, on a machine that does other
#: things as well.
START_S = 20.0
#: How long a server may take to end when nothing keeps it.
STOP_S = 15.0

#: What would change a server's settings from outside the test.
_FOREIGN = re.compile(r"OXICORN_|GUNICORN_|WEB_CONCURRENCY$|PORT$|FORWARDED_ALLOW_IPS$|SENDFILE$")

#: What a server says that root starts without `--user`.
_AS_ROOT = re.compile(r"^.*workers run as root: --user names whom they shall run as\n", re.MULTILINE)

#: Ports are dealt out from below the ephemeral ones, from where the kernel would give one to a client in between.
FIRST_PORT, PORTS, SHARE = 10_000, 20_000, 400


@cache
def _share() -> tuple[socket.socket, Iterator[int]]:
    """The ports that this process alone takes, again and again, and what says so to other processes that run tests.

    A port is chosen some time before its server binds it. The names of abstract sockets are as wide as the ports
    (both belong to the network namespace), and the kernel takes them back from a process that ends.
    """
    for first in range(FIRST_PORT, FIRST_PORT + PORTS, SHARE):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0oxicorn-tests-ports-from-{first}")
        except OSError:
            claim.close()
            continue
        return claim, cycle(range(first, first + SHARE))
    raise RuntimeError("too many processes run tests at the same time")


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nothing listens, and which no other test is given."""
    _, ports = _share()
    while True:
        port = next(ports)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        return port


def command() -> list[str]:
    """The words that start the server under test."""
    override = os.environ.get("OXICORN_TEST_SERVER")
    return shlex.split(override) if override else [sys.executable, "-m", "oxicorn"]


#: What the server under test calls itself in its log, its titles and its `Server` field.
NAME = "gunicorn" if "gunicorn" in os.environ.get("OXICORN_TEST_SERVER", "") else "oxicorn"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a server: the one of the tests without what would configure it."""
    clean = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
    # Tests rewrite modules within a second, which a cached bytecode file would not notice.
    clean.update(PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1", LC_ALL="C.UTF-8")
    clean.update(extra or {})
    return clean


@dataclass
class Refusal:
    """A server that ended by itself: what it said and with which code."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def run(
    *options: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    within: float = START_S,
    pass_fds: Iterable[int] = (),
) -> Refusal:
    """Run the command to its end: for refusals, `--help`, `--check-config`."""
    process = subprocess.Popen(
        [*command(), *options],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    )
    try:
        out, err = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        _kill_session(process)
        out, err = process.communicate()
        raise AssertionError(f"still running after {within} s:\n{out}{err}") from None
    return Refusal(process.returncode, out, err)


class Server:
    """A running server; ends with its `with` block in every case."""

    def __init__(
        self,
        *options: str,
        cwd: Path,
        log: Path,
        bind: str | None = "127.0.0.1",
        env: Mapping[str, str] | None = None,
        pass_fds: Iterable[int] = (),
        prefix: Iterable[str] = (),
    ) -> None:
        """Start `command options`.

        `bind` is a host (a free port is added), `unix:PATH`, a whole `HOST:PORT`, or None where
        the options or a file say it. `log` receives stdout and stderr, apart as `.out` and `.err`.
        """
        self.address: Address = ""
        self.trust: ssl.SSLContext | None = None
        words = [*prefix, *command(), *options]
        if bind is not None:
            words += ["--bind", self._choose(bind)]
        self.command = words
        self._out, self._err = log.with_suffix(".out"), log.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                words,
                cwd=cwd,
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )

    def _choose(self, bind: str) -> str:
        if bind.startswith("unix:"):
            self.address = bind.removeprefix("unix:")
            return bind
        host, colon, port = bind.rpartition(":")
        if colon and port.isdigit() and not host.endswith(":"):
            self.address = (host.strip("[]"), int(port))
            return bind
        number = free_port(bind)
        self.address = (bind, number)
        return f"[{bind}]:{number}" if ":" in bind else f"{bind}:{number}"

    # Life

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The arbiter's process id."""
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self, target: str = "/", within: float = START_S) -> Server:
        """Wait for the first answer of any status.

        The listener is bound before the application is imported, so one connection is enough:
        it waits in the queue.
        """
        self.wait_listening(within)
        with self.connect() as wire:
            wire.patience(within).get(target, fields=[("Connection", "close")])
        return self

    def wait_listening(self, within: float = START_S) -> Server:
        """Wait until connections are taken; says nothing about workers."""

        def connects() -> bool:
            assert self.running, f"ended with code {self.process.returncode}:\n{self.log}"
            try:
                self.connect_plain().close()
            except OSError:
                return False
            return True

        eventually(connects, within=within, what=lambda: f"a listener; log:\n{self.log}")
        return self

    def signal(self, number: Signals) -> Server:
        """Signal the arbiter, and only it."""
        self.process.send_signal(number)
        return self

    def wait_exit(self, within: float = STOP_S) -> int:
        """The exit code, once the server has ended by itself."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within} s; log:\n{self.log}") from None

    def stop(self, number: Signals = SIGTERM, within: float = STOP_S) -> int:
        """Signal the arbiter and wait for its end."""
        return self.signal(number).wait_exit(within)

    def kill(self) -> None:
        """End all that this server started: its session is its own."""
        _kill_session(self.process)
        self.process.wait(STOP_S)

    # Processes

    def workers(self) -> list[int]:
        """The arbiter's living children."""
        return sorted(processes.children(self.pid))

    def wait_workers(self, number: int, within: float = START_S) -> list[int]:
        """Wait until there are exactly `number` children."""
        return self._wait_children(lambda found: len(found) == number, f"{number} workers", within)

    def wait_replaced(self, old: Iterable[int], number: int, within: float = START_S) -> list[int]:
        """Wait until there are `number` children, none of them one of `old`."""
        gone = set(old)
        return self._wait_children(
            lambda found: len(found) == number and not gone & set(found), f"{number} workers beside {gone}", within
        )

    def _wait_children(self, fits: Callable[[list[int]], bool], what: str, within: float) -> list[int]:
        """Wait until the children fit. They are looked at once for each answer: they come and go."""

        def fitting() -> list[list[int]]:
            found = self.workers()
            return [found] if fits(found) else []

        [found] = eventually(fitting, within=within, what=lambda: f"{what}; are {self.workers()}; log:\n{self.log}")
        return found

    # What it says

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        """Standard error, without the one line that is there because root runs the tests."""
        return _AS_ROOT.sub("", self.whole_err)

    @property
    def whole_err(self) -> str:
        return self._err.read_text(errors="replace")

    @property
    def log(self) -> str:
        """What was logged: Gunicorn's error log goes to stderr, the access log to stdout."""
        return self.err + self.out

    def wait_log(self, pattern: str, *, times: int = 1, within: float = 10.0) -> list[re.Match[str]]:
        """Wait until the log holds `pattern` (a regular expression) at least `times` times."""

        def found() -> list[re.Match[str]]:
            matches = list(re.finditer(pattern, self.log, re.MULTILINE))
            return matches if len(matches) >= times else []

        return eventually(found, within=within, what=lambda: f"{times} × {pattern!r} in the log:\n{self.log}")

    # Clients

    @property
    def url(self) -> str:
        assert not isinstance(self.address, str), "a unix socket has no URL"
        host, port = self.address[:2]
        scheme = "https" if self.trust else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def connect(self, *, receive_buffer: int | None = None) -> Wire:
        """A raw connection, or one over TLS where the server was started with a context for its clients."""
        wire = Wire(self.address, receive_buffer=receive_buffer)
        return wire.secure(self.trust) if self.trust else wire

    def connect_plain(self, *, receive_buffer: int | None = None) -> Wire:
        """A connection without TLS, in every case."""
        return Wire(self.address, receive_buffer=receive_buffer)

    def get(self, target: str = "/", *, fields: Iterable[tuple[str, str]] = ()) -> Reply:
        """One GET on a connection of its own."""
        with self.connect() as wire:
            return wire.get(target, fields=fields)

    def post(self, target: str, body: bytes, *, fields: Iterable[tuple[str, str]] = ()) -> Reply:
        """One POST on a connection of its own."""
        with self.connect() as wire:
            return wire.request(target, method="POST", body=body, fields=fields).reply()

    def client(self, **options: object) -> httpx.Client:
        """A real client with cookies and kept connections."""
        if isinstance(self.address, str):
            transport = httpx.HTTPTransport(uds=self.address)
            return httpx.Client(transport=transport, base_url="http://localhost", **options)
        if self.trust:
            options.setdefault("verify", self.trust)
        return httpx.Client(base_url=self.url, trust_env=False, **options)


def _kill_session(process: subprocess.Popen[object]) -> None:
    """Kill the process group that `start_new_session` made: the server and its workers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, SIGKILL)
