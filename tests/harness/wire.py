"""A connection as bytes: what a client sends and what it really receives.

The reader of responses is deliberately strict (RFC 9112): a test that reads through it has also
checked the framing of what it read.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Address = tuple[str, int] | tuple[str, int, int, int] | str

#: No wait in a test is longer than this, unless the test says so.
PATIENCE_S = 10.0


class Closed(AssertionError):
    """The server closed the connection where more was expected."""


@dataclass
class Reply:
    """One response, read off the wire."""

    version: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    #: The body came to its end: by its length, its last chunk, or the close where that ends it.
    complete: bool = True
    #: The sizes of the chunks, for a chunked body.
    chunks: list[int] = field(default_factory=list)
    #: The trailer fields of a chunked body.
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """The value of a field that may appear once, or None."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} appears {len(values)} times: {values}"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    @property
    def keeps_alive(self) -> bool:
        """Whether the server said that it keeps the connection."""
        said = (self.header("Connection") or "").lower()
        return said != "close" if self.version == "HTTP/1.1" else said == "keep-alive"

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A connected socket with a buffer."""

    def __init__(self, address: Address, *, receive_buffer: int | None = None) -> None:
        """Connect. `receive_buffer` (bytes) makes a client that can take little at a time."""
        if isinstance(address, str):
            family = socket.AF_UNIX
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(address)
        self.buffer = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Go away with a reset, as a crashed client does."""
        # SO_LINGER with zero seconds: struct linger { int on; int seconds; }.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def patience(self, seconds: float) -> Wire:
        self.socket.settimeout(seconds)
        return self

    def secure(self, context: ssl.SSLContext, name: str = "localhost") -> Wire:
        """Shake hands as a client of TLS that asks for `name`. An end without a goodbye is then an error."""
        self.socket = context.wrap_socket(self.socket, server_hostname=name, suppress_ragged_eofs=False)
        return self

    # Sending

    def send(self, data: bytes) -> Wire:
        self.socket.sendall(data)
        return self

    def send_bytewise(self, data: bytes) -> Wire:
        """One byte per segment."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(data)):
            self.socket.sendall(data[position : position + 1])
        return self

    def request(
        self,
        target: str = "/",
        *,
        method: str = "GET",
        fields: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Wire:
        """Send a well-formed HTTP/1.1 request; a body goes with its Content-Length."""
        return self.send(head(target, method=method, fields=fields, body=body) + (body or b""))

    def get(self, target: str = "/", *, fields: Iterable[tuple[str, str]] = ()) -> Reply:
        """Send a GET and read its response."""
        return self.request(target, fields=fields).reply()

    def half_close(self) -> Wire:
        # The method of an SSLSocket would forget the keys.
        socket.socket.shutdown(self.socket, socket.SHUT_WR)
        return self

    # Receiving

    def receive(self) -> bytes:
        """The next bytes, one or more; `b""` at the end of the stream."""
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        return self.socket.recv(65536)

    def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._fill(f"{count} bytes")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`."""
        while mark not in self.buffer:
            self._fill(repr(mark))
        data, mark, self.buffer = self.buffer.partition(mark)
        return data + mark

    def rest(self) -> bytes:
        """Everything up to the end of the stream; a reset is a failure."""
        data = b""
        while chunk := self.receive():
            data += chunk
        return data

    def has_arrived(self) -> bool:
        """Whether there is something to receive, or the end, without waiting for it."""
        return bool(self.buffer) or bool(select.select([self.socket], [], [], 0)[0])

    def rest_or_reset(self) -> bytes:
        """Everything up to the end of the stream, whichever end it takes."""
        data = b""
        try:
            while chunk := self.receive():
                data += chunk
        except ConnectionResetError:
            pass
        return data

    def interim(self) -> Reply:
        """A response head without a body, such as 100 (Continue)."""
        return self._head()

    def reply(self, *, to: str = "GET") -> Reply:
        """The next final response, whole. `to` is the method that it answers."""
        reply = self._head()
        while reply.status < 200:
            reply = self._head()
        self._body(reply, to)
        return reply

    def assert_closed(self, within: float = PATIENCE_S) -> None:
        """Check that the server ends the stream without sending another byte."""
        self.socket.settimeout(within)
        try:
            data = self.receive()
        except ConnectionResetError:
            return
        except TimeoutError:
            raise AssertionError(f"the connection is still open after {within} s") from None
        assert data == b"", f"unexpected bytes: {data[:200]!r}"

    def _head(self) -> Reply:
        status_line, *lines = self.until(b"\r\n\r\n")[:-4].decode("latin-1").split("\r\n")
        version, status, reason = status_line.split(" ", 2)
        assert version in ("HTTP/1.0", "HTTP/1.1"), status_line
        fields: list[tuple[str, str]] = []
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon and name and name.strip() == name, f"bad field line {line!r}"
            fields.append((name, value.strip()))
        return Reply(version, int(status), reason, fields)

    def _body(self, reply: Reply, method: str) -> None:
        if method == "HEAD" or reply.status in (204, 304):
            return
        length, coding = reply.header("Content-Length"), reply.header("Transfer-Encoding")
        assert not (length and coding), "both Content-Length and Transfer-Encoding"
        if coding is not None:
            assert coding.lower() == "chunked", coding
            self._chunked(reply)
        elif length is not None:
            reply.body = self._at_most(int(length))
            reply.complete = len(reply.body) == int(length)
        else:
            reply.body = self.rest()

    def _chunked(self, reply: Reply) -> None:
        pieces = []
        try:
            while size := int(self.until(b"\r\n").split(b";")[0], 16):
                reply.chunks.append(size)
                pieces.append(self.exactly(size))
                assert self.exactly(2) == b"\r\n"
            while (line := self.until(b"\r\n")) != b"\r\n":
                name, colon, value = line.decode("latin-1").partition(":")
                assert colon and name and name.strip() == name, f"bad trailer line {line!r}"
                reply.trailers.append((name, value.strip()))
        except (Closed, ConnectionResetError):
            reply.complete = False
        reply.body = b"".join(pieces)

    def _at_most(self, count: int) -> bytes:
        pieces, missing = [self.buffer[:count]], count - len(self.buffer)
        self.buffer = self.buffer[count:]
        while missing > 0:
            try:
                data = self.socket.recv(min(missing, 1 << 20))
            except ConnectionResetError:
                data = b""
            if not data:
                break
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def _fill(self, wanted: str) -> None:
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(
                f"no bytes within {self.socket.gettimeout()} s, wanted {wanted}, have {self.buffer[:200]!r}"
            ) from None
        if not data:
            raise Closed(f"closed by the server, wanted {wanted}, have {self.buffer[:200]!r}")
        self.buffer += data


def head(
    target: str = "/",
    *,
    method: str = "GET",
    version: str = "HTTP/1.1",
    fields: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    host: str | None = "test.example",
) -> bytes:
    """The head of a request as bytes."""
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines.extend(f"{name}: {value}" for name, value in fields)
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """`data` as one chunk; of nothing: the last chunk and the end of the body."""
    return b"%x\r\n%s\r\n" % (len(data), data)
