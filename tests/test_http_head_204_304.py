"""Responses that have no body have none on the wire, whatever the application returned."""

from __future__ import annotations

import pytest
from harness import Serve, Server, parity


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("statuses", kind=kind)


PIECES = pytest.mark.parametrize("query", ["", "?pieces"])


@parity("gthread")
@PIECES
def test_head_keeps_the_length_and_sends_no_body(server: Server, query: str) -> None:
    with server.connect() as wire:
        reply = wire.request(f"/200/4/body{query}", method="HEAD").reply(to="HEAD")
        assert (reply.status, reply.header("Content-Length")) == (200, "4")
        assert wire.get("/200/5/after").text == "after"


@parity("gthread")
@PIECES
def test_head_without_a_length_sends_no_body(server: Server, query: str) -> None:
    with server.connect() as wire:
        wire.request(f"/200/-/body{query}", method="HEAD").reply(to="HEAD")
        assert wire.get("/200/5/after").text == "after"


@parity("gthread")
def test_head_with_the_length_alone(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.request("/200/1000000/none", method="HEAD").reply(to="HEAD")
        assert reply.header("Content-Length") == "1000000"
        assert wire.get("/200/5/after").text == "after"


@parity("gthread")
@PIECES
@pytest.mark.parametrize("length", ["-", "4"])
def test_204_has_neither_body_nor_framing(server: Server, length: str, query: str) -> None:
    # RFC 9110, section 8.6: no Content-Length in a 204.
    with server.connect() as wire:
        reply = wire.get(f"/204/{length}/body{query}")
        assert reply.status == 204
        assert reply.header("Content-Length") is None
        assert reply.header("Transfer-Encoding") is None
        assert wire.get("/200/5/after").text == "after"


@parity("gthread")
@PIECES
@pytest.mark.parametrize("length", ["-", "4"])
def test_304_has_no_body(server: Server, length: str, query: str) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/304/{length}/body{query}")
        assert reply.status == 304
        assert reply.header("Transfer-Encoding") is None
        assert reply.header("Content-Length") in (None, "4")
        assert wire.get("/200/5/after").text == "after"


@parity("gthread")
def test_205_has_no_body_to_wait_for(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/205/-/none")
        assert (reply.status, reply.body) == (205, b"")
        assert wire.get("/200/5/after").text == "after"


@parity("gthread")
def test_an_empty_200_says_that_it_is_empty(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/200/-/none")
        assert reply.header("Content-Length") == "0" or reply.header("Transfer-Encoding")
        assert wire.get("/200/5/after").text == "after"
