"""`wsgiref.validate`, the reference judge of PEP 3333, has no objection."""

from __future__ import annotations

import pytest
from harness import Serve, Server, parity


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("validated", kind=kind)


@parity("gthread")
@pytest.mark.parametrize(
    ("method", "target", "body", "expected"),
    [
        ("GET", "/", None, "Hello, world!"),
        ("GET", "/?a=1&b=%C3%BC", None, "Hello, world!"),
        ("GET", "/a%20path/%C3%BC", None, "Hello, world!"),
        ("POST", "/echo", b"a=1", "a=1"),
        ("POST", "/echo", b"", ""),
        ("PUT", "/echo", b"x" * 200_000, "x" * 200_000),
        ("POST", "/lines", b"one\ntwo\n", "one\ntwo\n"),
        ("POST", "/readline", b"one\ntwo and more", "one\ntwo "),
        ("GET", "/write", None, "written returned"),
        ("GET", "/stream", None, "0 1 2 3 4 "),
        ("GET", "/errors", None, "Hello, world!"),
        ("OPTIONS", "/", None, "Hello, world!"),
        ("DELETE", "/", None, "Hello, world!"),
    ],
)
def test_it_is_content(server: Server, method: str, target: str, body: bytes | None, expected: str) -> None:
    with server.connect() as wire:
        reply = wire.request(target, method=method, body=body).reply()
        assert (reply.status, reply.text) == (200, expected)
        assert wire.get("/").status == 200, "and the connection goes on"


@parity("gthread")
def test_head_has_no_body(server: Server) -> None:
    with server.connect() as wire:
        assert wire.request("/", method="HEAD").reply(to="HEAD").status == 200
        assert wire.get("/").text == "Hello, world!"


@parity
def test_nothing_was_complained_about(server: Server) -> None:
    assert "AssertionError" not in server.log and "Traceback" not in server.log
