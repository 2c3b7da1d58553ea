"""`Expect: 100-continue`: the client hears whether to send its body."""

from __future__ import annotations

import pytest
from harness import Serve, Server
from harness.wire import chunk, head

EXPECT = ("Expect", "100-continue")


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("lab", "--limit-request-body", "1000", kind=kind)


def test_the_body_is_asked_for(server: Server) -> None:
    with server.connect() as wire:
        for _ in range(2):
            wire.send(head("/echo", method="POST", fields=[EXPECT], body=b"abc"))
            assert wire.interim().status == 100
            assert wire.send(b"abc").reply().text == "abc"


def test_a_chunked_body_is_asked_for(server: Server) -> None:
    fields = [EXPECT, ("Transfer-Encoding", "chunked")]
    with server.connect() as wire:
        wire.send(head("/echo", method="POST", fields=fields))
        assert wire.interim().status == 100
        assert wire.send(chunk(b"abc") + chunk(b"")).reply().text == "abc"


def test_a_body_that_is_too_large_is_not_asked_for(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/echo", method="POST", fields=[EXPECT], body=b"x" * 1001))
        refused = wire.interim()
        assert refused.status == 413
        assert refused.header("Connection") == "close"


def test_a_body_that_is_already_there_is_not_asked_for_twice(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/echo", method="POST", fields=[EXPECT], body=b"abc") + b"abc")
        assert wire.reply().text == "abc"
        assert wire.get().text == "Hello, world!"


def test_an_http_1_0_client_does_not_hear_100(server: Server) -> None:
    # RFC 9110, section 10.1.1: a server must ignore the expectation of an HTTP/1.0 request.
    request = head("/echo", method="POST", version="HTTP/1.0", fields=[EXPECT], body=b"abc")
    with server.connect() as wire:
        wire.send(request + b"abc")
        assert wire.interim().status == 200


def test_no_body_needs_no_100(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/", fields=[EXPECT]))
        assert wire.interim().status == 200


def test_another_expectation_is_417(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/", fields=[("Expect", "a miracle")]))
        assert wire.reply().status == 417


def test_a_client_that_waits_holds_no_thread(serve: Serve) -> None:
    server = serve("lab", kind="sync")
    with server.connect() as waiting:
        waiting.send(head("/echo", method="POST", fields=[EXPECT], body=b"abc"))
        assert waiting.interim().status == 100
        assert server.get().text == "Hello, world!"
        assert waiting.send(b"abc").reply().text == "abc"
