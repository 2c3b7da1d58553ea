"""An upload that is refused in the middle gets its answer, not a reset."""

from __future__ import annotations

import pytest
from harness import Serve, Server
from harness.wire import chunk, head

#: More than the kernel buffers of both ends, so that the client still sends when it is refused.
LARGE = 12_000_000


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("lab", "--limit-request-body", "100000", kind=kind)


def test_an_upload_that_is_too_large(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/length", method="POST", body=b"x" * LARGE))
        try:
            for _ in range(LARGE // 100_000):
                wire.send(b"x" * 100_000)
        except (BrokenPipeError, ConnectionResetError):
            pytest.fail("the server closed while the client was sending")
        assert wire.reply().status == 413


def test_a_chunked_upload_that_is_too_large(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/length", method="POST", fields=[("Transfer-Encoding", "chunked")]))
        for _ in range(20):
            wire.send(chunk(b"x" * 50_000))
        assert wire.reply().status == 413


@pytest.mark.parametrize(
    "beginning",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
        b"\x16\x03\x01 not HTTP at all\r\n\r\n",
    ],
)
def test_an_upload_that_is_malformed(server: Server, beginning: bytes) -> None:
    with server.connect() as wire:
        wire.send(beginning)
        for _ in range(20):
            wire.send(b"x" * 50_000)
        assert wire.reply().status == 400


def test_a_client_that_closes_its_side_ends_the_lingering(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/length", method="POST", body=b"x" * LARGE)).half_close()
        assert wire.reply().status == 413
        wire.assert_closed()
