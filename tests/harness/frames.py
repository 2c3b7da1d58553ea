"""WebSocket frames as bytes, for what a well-behaved client does not send."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .wire import Reply, Wire

#: The key of RFC 6455, section 1.3, and the proof that belongs to it.
KEY, PROOF = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass
class Frame:
    """A frame of the server."""

    opcode: int
    payload: bytes
    first: int

    @property
    def close(self) -> tuple[int, str]:
        """The code and the reason of a close frame."""
        assert self.opcode == CLOSE, self
        return struct.unpack("!H", self.payload[:2])[0], self.payload[2:].decode()


def frame(opcode: int, payload: bytes = b"", *, first: int | None = None, mask: bytes | None = b"\1\2\3\4") -> bytes:
    """A frame of a client. `first` is its whole first byte, where FIN and no extension are not meant."""
    head = bytes([0x80 | opcode if first is None else first])
    marked = 0x80 if mask is not None else 0
    if len(payload) < 126:
        head += bytes([marked | len(payload)])
    elif len(payload) < 1 << 16:
        head += struct.pack("!BH", marked | 126, len(payload))
    else:
        head += struct.pack("!BQ", marked | 127, len(payload))
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def handshake(target: str, *more: tuple[str, str], version: str = "13", key: str = KEY) -> bytes:
    """A request for a WebSocket."""
    fields = [
        ("Host", "testserver"),
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Version", version),
        ("Sec-WebSocket-Key", key),
        *more,
    ]
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode()


def upgrade(wire: Wire, target: str, *more: tuple[str, str]) -> Reply:
    """Shake hands, and check the answer."""
    reply = wire.send(handshake(target, *more)).interim()
    assert reply.status == 101, reply
    assert reply.header("Sec-WebSocket-Accept") == PROOF
    return reply


def read_frame(wire: Wire) -> Frame:
    """The next frame of the server."""
    first, second = wire.exactly(2)
    assert second < 0x80, "a server masks nothing"
    length = second
    if second == 126:
        (length,) = struct.unpack("!H", wire.exactly(2))
    elif second == 127:
        (length,) = struct.unpack("!Q", wire.exactly(8))
    return Frame(first & 0xF, wire.exactly(length), first)
