"""Requests that are too large are refused with the status that says so."""

from __future__ import annotations

import pytest
from harness import Serve, Server
from harness.wire import chunk, head


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("lab", kind=kind)


def refuse(server: Server, request: bytes) -> int:
    """The status of the answer, after which the connection must be closed."""
    with server.connect() as wire:
        reply = wire.send(request).reply()
        assert reply.header("Connection") == "close" or reply.status == 200
        if reply.status != 200:
            assert wire.rest() == b""
        return reply.status


def line(length: int) -> bytes:
    """A request whose line has `length` bytes without its CRLF."""
    return head("/?" + "a" * (length - len("GET /? HTTP/1.1")))


@pytest.mark.parametrize(("length", "status"), [(4000, 200), (4094, 200), (4200, 414)])
def test_the_request_line(server: Server, length: int, status: int) -> None:
    assert refuse(server, line(length)) == status


def test_a_request_line_without_end_is_refused_early(server: Server) -> None:
    with server.connect() as wire:
        assert wire.send(b"GET /" + b"a" * 100_000).reply().status == 414


@pytest.mark.parametrize(("count", "status"), [(99, 200), (101, 431)])
def test_the_number_of_fields(server: Server, count: int, status: int) -> None:
    # The Host field is one of them.
    assert refuse(server, head(fields=[("X-Field", "a")] * (count - 1))) == status


@pytest.mark.parametrize(("size", "status"), [(8000, 200), (8400, 431)])
def test_the_size_of_a_field(server: Server, size: int, status: int) -> None:
    assert refuse(server, head(fields=[("X-Field", "a" * size)])) == status


def test_a_field_without_end_is_refused_early(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nX-Field: " + b"a" * 100_000)
        assert wire.reply().status == 431


def test_fields_without_end_are_refused_early(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\n" + b"X-F: a\r\n" * 5000)
        assert wire.reply().status == 431


def test_the_limits_are_settings(serve: Serve, kind: str) -> None:
    server = serve(
        "lab",
        *("--limit-request-line", "100"),
        *("--limit-request-fields", "5"),
        *("--limit-request-field_size", "50"),
        *("--limit-request-body", "1000"),
        kind=kind,
    )
    assert [refuse(server, line(length)) for length in (100, 140)] == [200, 414]
    assert refuse(server, head(fields=[("X-Field", "a")] * 4)) == 200
    assert refuse(server, head(fields=[("X-Field", "a")] * 5)) == 431
    assert refuse(server, head(fields=[("X-Field", "a" * 30)])) == 200
    assert refuse(server, head(fields=[("X-Field", "a" * 60)])) == 431
    assert server.post("/length", b"a" * 1000).text == "1000"
    assert server.post("/length", b"a" * 1001).status == 413


def test_a_chunked_body_is_counted(serve: Serve, kind: str) -> None:
    server = serve("lab", "--limit-request-body", "1000", kind=kind)
    fields = [("Transfer-Encoding", "chunked")]
    with server.connect() as wire:
        wire.send(head("/length", method="POST", fields=fields))
        for _ in range(10):
            wire.send(chunk(b"a" * 100))
        assert wire.send(chunk(b"")).reply().text == "1000"
    with server.connect() as wire:
        wire.send(head("/length", method="POST", fields=fields))
        for _ in range(11):
            wire.send(chunk(b"a" * 100))
        assert wire.reply().status == 413


def test_there_is_no_body_limit_by_default(server: Server) -> None:
    assert server.post("/length", b"a" * 20_000_000).text == "20000000"


def test_an_error_page_does_not_echo_the_request(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.send(head("/<script>alert(1)</script>" + "a" * 5000)).reply()
    assert reply.status == 414
    assert b"script" not in reply.body
    assert b"request line" in reply.body.lower(), "the page names the rule"


def test_refusals_are_in_the_access_log(serve: Serve, kind: str) -> None:
    server = serve("lab", "--access-logfile", "-", kind=kind)
    refuse(server, line(5000))
    server.wait_log('" 414 ')
