"""A body that is not as long as its Content-Length never desynchronises a connection."""

from __future__ import annotations

import pytest
from harness import Serve, Server
from harness.wire import head


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("statuses", kind=kind)


PIECES = pytest.mark.parametrize("query", ["", "?pieces"])


@PIECES
def test_a_short_body_closes_the_connection(server: Server, query: str) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/200/10/short{query}")
        assert (reply.body, reply.complete) == (b"short", False)


@PIECES
def test_a_short_body_before_a_pipelined_request(server: Server, query: str) -> None:
    """The next response must not be read as the rest of this one."""
    with server.connect() as wire:
        wire.send(head(f"/200/500/short{query}") + head("/200/5/after"))
        reply = wire.reply()
        assert (reply.body, reply.complete) == (b"short", False)


def test_no_body_at_all_where_one_was_promised(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/200/500/none") + head("/200/5/after"))
        reply = wire.reply()
        assert reply.status == 500 or (reply.body, reply.complete) == (b"", False)


@PIECES
def test_a_long_body_is_cut(server: Server, query: str) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/200/4/longer{query}")
        assert (reply.body, reply.complete) == (b"long", True)
        if reply.keeps_alive:
            assert wire.get("/200/5/after").text == "after"
        else:
            wire.assert_closed()


@PIECES
def test_a_length_of_0_with_a_body(server: Server, query: str) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/200/0/body{query}")
        assert (reply.body, reply.complete) == (b"", True)
        if reply.keeps_alive:
            assert wire.get("/200/5/after").text == "after"
        else:
            wire.assert_closed()


def test_both_are_said_in_the_log(server: Server) -> None:
    server.get("/200/10/short")
    server.wait_log(r"\[(WARNING|ERROR)\].*(Content-Length|short)")
