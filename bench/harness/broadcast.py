"""A room of WebSockets: one speaks and all hear, or each hears itself. What is counted are messages that arrived.

wrk knows no WebSockets, so this is a client of our own. It is Python and slower than a server, which is no matter: the
server's CPU is measured, and the window lasts until a number of messages was heard by all.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

from harness.cases import CHAT, Case
from harness.load import ANSWER_TIMEOUT_S, Counted, Load
from harness.process import MeasurementError

# How many messages are on their way at once: as many people write at the same time.
IN_FLIGHT = 4
# A client masks what it sends (RFC 6455, section 5.3); a mask of zeros leaves the text readable.
SENT = bytes([0x81, 0x80 | len(CHAT), 0, 0, 0, 0]) + CHAT
HEARD = bytes([0x81, len(CHAT)]) + CHAT
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def _enter(port: int) -> socket.socket:
    member = socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_S)
    member.sendall(HANDSHAKE)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        piece = member.recv(4096)
        if not piece:
            break
        answer += piece
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise MeasurementError(f"takes no WebSocket: {answer[:200]!r}")
    member.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return member


def _hear(member: socket.socket, times: int) -> None:
    wanted = HEARD * times
    heard = b""
    while len(heard) < len(wanted):
        piece = member.recv(len(wanted) - len(heard))
        if not piece:
            raise MeasurementError("ended a WebSocket")
        heard += piece
    if heard != wanted:
        raise MeasurementError(f"said something else: {heard[:200]!r}")


def _speak(speakers: list[socket.socket], listeners: list[socket.socket], times: int) -> None:
    for speaker in speakers:
        speaker.sendall(SENT * times)
    for listener in listeners:
        _hear(listener, times)


@contextlib.contextmanager
def _room(port: int, size: int, case: Case) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        members: list[socket.socket] = []
        for _ in range(size):
            members.append(stack.enter_context(_enter(port)))
            # A member that has heard its own message is in the room, and so are all before it.
            _speak(members[-1:], members[-1:] if case.is_echoed else members, 1)
        yield members


def check_room(port: int, case: Case) -> bool:
    """Refuse a server that does not let two talk to each other. True, because a WebSocket is always kept."""
    try:
        with _room(port, 2, case):
            return True
    except OSError as error:
        raise MeasurementError(f"does not answer: {error!r}") from error


def run_room(load: Load, port: int, case: Case) -> Counted:
    """Let one member speak, or each to itself where the case echoes, for the load's seconds."""
    try:
        with _room(port, load.connections, case) as members:
            speakers = members if case.is_echoed else members[:1]
            begun = time.perf_counter()
            spoken = 0
            while time.perf_counter() - begun < load.seconds:
                _speak(speakers, members, IN_FLIGHT)
                spoken += IN_FLIGHT
            took_us = int((time.perf_counter() - begun) * 1e6)
    except OSError as error:
        raise MeasurementError(f"does not answer: {error!r}") from error
    heard = spoken * load.connections
    return Counted(heard, took_us, heard * len(HEARD), 0, 0, 0, 0, 0, 0, 0)
