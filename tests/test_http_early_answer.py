"""An answer that is given before the upload was read goes out at once, and what it says of the connection is true."""

from __future__ import annotations

import socket
import time

import pytest
from harness import Serve, Server, Wire
from harness.wire import chunk, head

#: Less than the time after which a quiet worker looks by itself.
AT_ONCE_S = 0.5
#: So much of a body is read for the sake of the request behind it.
SMALL = 256 * 1024
LARGE = 10_000_000


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return request.param


@pytest.fixture(scope="module")
def server(serve_module: Serve, loop: str) -> Server:
    return serve_module("asgi_lab", "-k", "asgi", "--asgi-loop", loop)


def post(length: int, *fields: tuple[str, str]) -> bytes:
    """The head of an upload that `/hello` does not read."""
    return head("/hello", method="POST", fields=[("Content-Length", str(length)), *fields])


def plain(wire: Wire) -> Wire:
    """Pieces leave in packets of their own."""
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return wire


def test_a_client_that_sends_head_and_body_apart_keeps_its_connection(server: Server) -> None:
    with plain(server.connect()) as wire:
        for _ in range(20):
            wire.send(post(5))
            wire.send(b"hello")
            reply = wire.reply()
            assert (reply.status, reply.keeps_alive) == (200, True)


def test_a_client_that_waits_for_the_answer_before_its_body_keeps_its_connection(server: Server) -> None:
    with plain(server.connect()) as wire:
        for _ in range(10):
            began = time.monotonic()
            wire.send(post(5))
            reply = wire.reply()
            assert time.monotonic() - began < AT_ONCE_S
            assert (reply.status, reply.keeps_alive) == (200, True)
            wire.send(b"hello")
        assert wire.get("/hello").status == 200


def test_the_rest_and_the_next_request_may_come_together(server: Server) -> None:
    with server.connect() as wire:
        wire.send(post(5)).reply()
        wire.send(b"hello" + head("/echo", method="POST", body=b"next") + b"next")
        assert wire.reply().text == "next"


def test_a_rest_that_has_arrived_keeps_the_connection_whatever_its_framing(server: Server) -> None:
    with server.connect() as wire:
        upload = head("/hello", method="POST", fields=[("Transfer-Encoding", "chunked")])
        wire.send(upload + chunk(b"hello") + chunk(b""))
        assert wire.reply().keeps_alive
        assert wire.get("/hello").status == 200


@pytest.mark.parametrize("body", [SMALL, LARGE])
def test_a_large_rest_is_refused_at_once(server: Server, body: int) -> None:
    with server.connect() as wire:
        began = time.monotonic()
        wire.send(post(body + 1))
        reply = wire.reply()
        assert (reply.status, reply.header("Connection")) == (200, "close")
        assert wire.rest() == b""
        assert time.monotonic() - began < AT_ONCE_S


def test_of_a_large_body_the_rest_counts(server: Server) -> None:
    with server.connect() as wire:
        wire.send(post(SMALL + 10_000) + b"x" * 10_000)
        reply = wire.reply()
        assert reply.keeps_alive
        wire.send(b"x" * SMALL)
        assert wire.get("/hello").status == 200


def test_a_rest_of_unknown_length_is_refused_at_once(server: Server) -> None:
    with server.connect() as wire:
        began = time.monotonic()
        wire.send(head("/hello", method="POST", fields=[("Transfer-Encoding", "chunked")]) + chunk(b"hello"))
        reply = wire.reply()
        assert (reply.status, reply.header("Connection")) == (200, "close")
        assert wire.rest() == b""
        assert time.monotonic() - began < AT_ONCE_S


def test_a_client_that_was_not_told_to_send_its_body_need_not(server: Server) -> None:
    """What it sends next could be its body or another request, so there is no next."""
    with server.connect() as wire:
        wire.send(post(5, ("Expect", "100-continue")))
        reply = wire.reply()
        assert (reply.status, reply.header("Connection")) == (200, "close")
        assert wire.rest() == b""


def test_a_client_that_goes_on_sending_gets_its_answer(server: Server) -> None:
    with server.connect() as wire:
        wire.send(post(LARGE))
        for _ in range(LARGE // 100_000):
            wire.send(b"x" * 100_000)
        reply = wire.reply()
        assert (reply.status, reply.header("Connection")) == (200, "close")


def test_a_stream_that_begins_before_the_upload_was_read_keeps_the_connection(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/stream/3", method="POST", fields=[("Content-Length", "5")]))
        assert wire.reply().status == 200
        wire.send(b"hello")
        assert wire.get("/hello").status == 200


def test_a_rest_that_never_comes_ends_the_connection(serve: Serve, loop: str) -> None:
    server = serve("asgi_lab", "-k", "asgi", "--asgi-loop", loop, "--body-timeout", "1")
    with server.connect() as wire:
        wire.send(post(5))
        assert wire.reply().keeps_alive
        wire.send(b"he")
        assert wire.rest() == b"", "no second answer"


def test_a_rest_that_does_not_come_holds_up_no_stop(serve: Serve, loop: str) -> None:
    server = serve("asgi_lab", "-k", "asgi", "--asgi-loop", loop)
    with server.connect() as wire:
        wire.send(post(5))
        assert wire.reply().keeps_alive
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 10, "body_timeout is longer"


def test_an_upload_that_no_thread_reads_costs_no_connection(serve_module: Serve, kind: str) -> None:
    server = serve_module("lab", kind=kind)
    with plain(server.connect()) as wire:
        for _ in range(5):
            wire.send(head("/", method="POST", fields=[("Content-Length", "5")]))
            wire.send(b"hello")
            reply = wire.reply()
            assert (reply.status, reply.keeps_alive) == (200, True)
