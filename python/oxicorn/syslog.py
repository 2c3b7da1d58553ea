"""Syslog for a server: a handler that never waits, and says once where its lines are lost."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter
from logging.handlers import SysLogHandler
from typing import Any

from oxicorn import _oxicorn

_NAMES = ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"]

SYSLOG_FACILITIES = {name: number for number, name in enumerate(_NAMES)}
SYSLOG_FACILITIES |= {"security": 4} | {f"local{number}": 16 + number for number in range(8)}
"""Facilities by name; `security` is an old name of `auth`."""

PORT = 514
"""Where syslog listens by convention."""

BACKLOG = 64 * 1024
"""Bytes that wait for a stream that takes nothing; what comes on top is lost."""

RETRY_S = 5.0
"""Seconds between two attempts to reach a syslog that refuses."""


_LOST: Counter[Any] = Counter()
"""Lines lost since the last that arrived, by address. Both logs share it, and a forked process goes on with it."""


def parse_syslog_address(addr: str) -> tuple[int | None, str | tuple[str, int]]:
    """Read `udp://HOST:PORT`, `tcp://HOST:PORT` or `unix://PATH[#stream|#dgram]` into a socket type and an address."""
    scheme, separator, rest = addr.partition("://")
    if separator and scheme == "unix":
        path, _, kind = rest.partition("#")
        return {"dgram": socket.SOCK_DGRAM, "stream": socket.SOCK_STREAM}.get(kind), path
    socktypes = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
    if not separator or scheme not in socktypes:
        raise RuntimeError("invalid syslog address")
    bracketed, closing, behind = rest.rpartition("]")
    host, _, port = (bracketed.removeprefix("[") + behind if closing else rest).partition(":")
    if closing:
        host, port = bracketed.removeprefix("["), behind.removeprefix(":")
    if port and not port.isdigit():
        raise RuntimeError(f"{port!r} is not a valid port number.")
    return socktypes[scheme], (host.lower() or "localhost", int(port or PORT))


class SyslogHandler(SysLogHandler):
    """Sends to syslog without ever waiting for it. Each process has a connection of its own."""

    def __init__(self, address: Any, facility: int, socktype: Any) -> None:
        """Find out where `address` is; it is connected to with the first line."""
        logging.Handler.__init__(self)
        self.address, self.facility, self.socktype = address, facility, socktype
        self.unixsocket = isinstance(address, str)
        self.socket: Any = None
        self._unsent = b""
        self._pid = 0
        self._retry_at = 0.0
        self._targets: list[tuple[int, int, Any]] = []
        if self.unixsocket:
            kinds = [socket.SOCK_DGRAM, socket.SOCK_STREAM] if socktype is None else [socktype]
            self._targets = [(socket.AF_UNIX, kind, address) for kind in kinds]
            return
        try:
            # Once, because a name server that does not answer would hold up the request that logs.
            host, port = address
            found = socket.getaddrinfo(host, port, type=socktype or socket.SOCK_DGRAM)
            self._targets = [(family, kind, where) for family, kind, _, _, where in found]
        except OSError as error:
            self._lose(error)

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record, or lose it."""
        try:
            text = self.format(record) + ("\000" if self.append_nul else "")
            priority = self.encodePriority(self.facility, self.mapPriority(record.levelname))
            packet = f"<{priority}>{self.ident}{text}".encode("utf-8", "backslashreplace")
        except Exception:
            return self.handleError(record)
        try:
            self._send(packet)
        except OSError as error:
            self._lose(error)
        return None

    def createSocket(self) -> None:
        """Connect to the first target that lets us."""
        error = OSError("there is no such address")
        for family, kind, where in self._targets:
            candidate = socket.socket(family, kind | socket.SOCK_NONBLOCK)
            try:
                if kind == socket.SOCK_STREAM or family == socket.AF_UNIX:
                    candidate.connect(where)
            except BlockingIOError:
                pass  # The connection is on its way; what is sent waits for it.
            except OSError as refusal:
                candidate.close()
                error = refusal
                continue
            self.socket, self._where, self._streams = candidate, where, kind == socket.SOCK_STREAM
            return
        raise error

    def close(self) -> None:
        """Close the socket."""
        self._disconnect()
        logging.Handler.close(self)

    def _disconnect(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.socket, self._unsent = None, b""

    def _send(self, packet: bytes) -> None:
        if self._pid != os.getpid():
            # Two processes that share a stream would cut each other's lines.
            self._disconnect()
            self._pid, self._retry_at = os.getpid(), 0.0
        if self.socket is None:
            if time.monotonic() < self._retry_at:
                _LOST[self.address] += 1
                return
            self.createSocket()
        if self._streams:
            if len(self._unsent) + len(packet) > BACKLOG:
                raise OSError("it does not take its lines")
            self._unsent += packet
            try:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
            except BlockingIOError:
                return
        elif self.unixsocket:
            self.socket.send(packet)
        else:
            self.socket.sendto(packet, self._where)
        if lost := _LOST.pop(self.address, 0):
            _oxicorn.say(logging.INFO, f"{self} takes lines again; {lost} were lost")

    def _lose(self, error: OSError) -> None:
        if self.address not in _LOST:
            reason = error.strerror or error
            _oxicorn.say(logging.ERROR, f"{self} cannot be reached: {reason}; lines are lost until it can")
        _LOST[self.address] += 1
        self._disconnect()
        self._retry_at = time.monotonic() + RETRY_S

    def __repr__(self) -> str:
        """Name the address."""
        where = self.address if isinstance(self.address, str) else "{}:{}".format(*self.address)
        return f"syslog at {where}"
