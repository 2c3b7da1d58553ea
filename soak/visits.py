"""The clients of the soak: what they do on a connection, good manners and bad ones, at random but repeatably."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Callable

Address = tuple[str, int]
HELLO = b"Hello, world!"
TIMEOUT_S = 60.0
RESET = b"\1\0\0\0\0\0\0\0"  # struct linger {1, 0}: closing sends a reset.


class Broken(Exception):
    """The server did not answer as it should."""


def _request(target: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: soak.example", *lines, "", ""]).encode()


def _read_until(connection: socket.socket, mark: bytes, times: int) -> None:
    data = b""
    while data.count(mark) < times:
        piece = connection.recv(1 << 20)
        if not piece:
            raise Broken(f"the end instead of {times} x {mark!r}; there was {data[:300]!r}")
        data += piece


def _read_all(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(1 << 20):
        data += piece
    return data


def _kept(connection: socket.socket, chance: random.Random) -> int:
    """Fifty requests on one connection, five at once; fields and targets vary, so that no cache is always right."""
    for _ in range(10):
        field = f"X-Field-{chance.randrange(100_000)}: {'v' * chance.randrange(200)}"
        connection.sendall(_request(f"/?q={chance.randrange(1 << 30)}", field) * 5)
        _read_until(connection, HELLO, 5)
    return 50


def _alone(connection: socket.socket, chance: random.Random) -> int:
    connection.sendall(_request(f"/{chance.randrange(1 << 30)}", "Connection: close"))
    if not _read_all(connection).endswith(HELLO):
        raise Broken("a wrong answer")
    return 1


def _streams(connection: socket.socket, _: random.Random) -> int:
    for _ in range(5):
        connection.sendall(_request("/stream"))
        _read_until(connection, b"0\r\n\r\n", 1)
    return 5


def _uploads(connection: socket.socket, chance: random.Random) -> int:
    for _ in range(5):
        size = chance.randrange(1, 50_000)
        body = b"u" * size + b"-end-"
        if chance.random() < 0.5:
            head = _request("/echo", f"Content-Length: {len(body)}", method="POST")
            connection.sendall(head + body)
        else:
            head = _request("/echo", "Transfer-Encoding: chunked", method="POST")
            connection.sendall(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        _read_until(connection, b"-end-", 1)
    return 5


def _leave(connection: socket.socket, chance: random.Random) -> None:
    if chance.random() < 0.5:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def _cut_upload(connection: socket.socket, chance: random.Random) -> int:
    """Go away in the middle of a body: of one that is buffered in memory, or in a file."""
    size = chance.choice((100_000, 1_000_000))
    connection.sendall(_request("/echo", f"Content-Length: {size}", method="POST"))
    connection.sendall(b"u" * chance.randrange(size // 2))
    _leave(connection, chance)
    return 1


def _cut_download(connection: socket.socket, chance: random.Random) -> int:
    """Go away in the middle of a response that does not fit into the kernel's buffers."""
    connection.sendall(_request("/endless"))
    connection.recv(4096)
    _leave(connection, chance)
    return 1


def _cut_head(connection: socket.socket, chance: random.Random) -> int:
    head = _request("/", "X-Long: " + "h" * 500)
    connection.sendall(head[: chance.randrange(1, len(head))])
    _leave(connection, chance)
    return 1


def _malformed(connection: socket.socket, _: random.Random) -> int:
    connection.sendall(b"GET / HTTP/1.1\r\nHost : soak.example\r\n\r\n")
    if b" 400 " not in _read_all(connection):
        raise Broken("a malformed request was not refused")
    return 1


def _fails(connection: socket.socket, _: random.Random) -> int:
    connection.sendall(_request("/error", "Connection: close"))
    if b" 500 " not in _read_all(connection):
        raise Broken("a failure of the application was not told")
    return 1


def _goes_while_awaited(connection: socket.socket, chance: random.Random) -> int:
    connection.sendall(_request("/wait"))
    _leave(connection, chance)
    return 1


Visit = Callable[[socket.socket, random.Random], int]
# How often each kind of visit happens, relative to the others.
VISITS: dict[Visit, int] = {
    _kept: 20,
    _alone: 20,
    _streams: 8,
    _uploads: 8,
    _cut_upload: 8,
    _cut_download: 4,
    _cut_head: 8,
    _malformed: 4,
    _fails: 4,
    # A WSGI application cannot wait for its client to go; there it is one more that does not read its answer.
    _goes_while_awaited: 8,
}


def visit(address: Address, chance: random.Random) -> int:
    """Open a connection, behave on it in one way or another, close it. The number of requests."""
    [kind] = chance.choices(list(VISITS), list(VISITS.values()))
    with socket.create_connection(address, TIMEOUT_S) as connection:
        try:
            return kind(connection, chance)
        except TimeoutError as error:
            raise Broken(f"{kind.__name__}: no answer within {TIMEOUT_S:.0f} s") from error
        except ConnectionError as error:
            # Who goes away in the middle of something may be told so while he still sends.
            if kind in (_cut_upload, _malformed):
                return 1
            raise Broken(f"{kind.__name__}: {error}") from error


def opened(address: Address) -> socket.socket:
    """A WebSocket after its handshake."""
    connection = socket.create_connection(address, TIMEOUT_S)
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(connection.close)
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        asked = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
        connection.sendall(_request("/", *asked))
        answer = connection.recv(4096)
        if b" 101 " not in answer or not answer.endswith(b"\r\n\r\n"):
            raise Broken(f"no WebSocket: {answer[:300]!r}")
        on_failure.pop_all()
    return connection


def echoed(connection: socket.socket) -> None:
    """Send a message and get it back. The mask is zero, which leaves the payload as it is."""
    connection.sendall(b"\x81\x85\0\0\0\0hello")
    answer = connection.recv(100)
    while answer.startswith(b"\x89"):
        # The server asked in the meantime whether we are there.
        end = 2 + answer[1]
        connection.sendall(bytes([0x8A, 0x80 | answer[1], 0, 0, 0, 0]) + answer[2:end])
        answer = answer[end:] or connection.recv(100)
    if answer != b"\x81\x05hello":
        raise Broken(f"the message did not come back, but {answer!r}")
