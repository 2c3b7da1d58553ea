"""Connections are kept, pipelined and closed as the client and RFC 9112 say."""

from __future__ import annotations

import time

import pytest
from harness import Serve, Server, eventually, parity, processes
from harness.wire import head


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("lab", kind=kind)


def test_one_connection_serves_many_requests(server: Server) -> None:
    with server.connect() as wire:
        for number in range(200):
            assert wire.get(f"/environ/{number}").json()["PATH_INFO"] == f"/environ/{number}"


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, close", "x-option ,close"])
def test_close_is_honoured(server: Server, value: str) -> None:
    with server.connect() as wire:
        reply = wire.get(fields=[("Connection", value)])
        assert (reply.text, reply.header("Connection")) == ("Hello, world!", "close")
        wire.assert_closed()


def test_http_1_0_closes(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.send(head(version="HTTP/1.0")).reply()
        assert (reply.version, reply.text) == ("HTTP/1.1", "Hello, world!")
        assert not reply.keeps_alive or reply.header("Connection") is None
        wire.assert_closed()


def test_http_1_0_without_a_host_is_served(server: Server) -> None:
    with server.connect() as wire:
        assert wire.send(b"GET / HTTP/1.0\r\n\r\n").reply().text == "Hello, world!"


def test_http_1_0_may_ask_to_be_kept(server: Server) -> None:
    request = head(version="HTTP/1.0", fields=[("Connection", "keep-alive")])
    with server.connect() as wire:
        for _ in range(3):
            reply = wire.send(request).reply()
            assert reply.text == "Hello, world!"
            assert reply.header("Connection") == "keep-alive"


def test_a_body_without_length_cannot_keep_http_1_0(server: Server) -> None:
    request = head("/pieces/100000", version="HTTP/1.0", fields=[("Connection", "keep-alive")])
    with server.connect() as wire:
        reply = wire.send(request).reply()
        assert reply.header("Transfer-Encoding") is None
        assert len(reply.body) == 100_000


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    count = 120
    with server.connect() as wire:
        wire.send(b"".join(head(f"/environ/{number}") for number in range(count)))
        for number in range(count):
            assert wire.reply().json()["PATH_INFO"] == f"/environ/{number}"


def test_pipelined_requests_with_bodies_keep_apart(server: Server) -> None:
    with server.connect() as wire:
        bodies = [b"one", b"", b"GET / HTTP/1.1\r\n\r\n", b"x" * 100_000]
        wire.send(b"".join(head("/echo", method="POST", body=body) + body for body in bodies))
        assert [wire.reply().body for _ in bodies] == bodies


def test_a_close_ends_a_pipeline(server: Server) -> None:
    closing = head("/pid", fields=[("Connection", "close")])
    with server.connect() as wire:
        wire.send(head() + closing + head("/error/never"))
        assert wire.reply().text == "Hello, world!"
        assert wire.reply().header("Connection") == "close"
        assert wire.rest() == b""


def test_a_pipeline_does_not_starve_the_others(serve: Serve) -> None:
    server = serve("lab", "--access-logfile", "-", "--access-logformat", "%(U)s", kind="sync")
    [worker] = server.wait_workers(1)
    with server.connect() as greedy, server.connect() as modest:
        with processes.stopped(worker):
            greedy.send(head("/environ/greedy") * 700)
            modest.request("/environ/modest")
        assert modest.reply().status == 200
        for _ in range(700):
            assert greedy.reply().status == 200
    lines = eventually(lambda: server.out.count("greedy") == 700 and server.out.splitlines())
    assert lines.index("/environ/modest") < 350


def test_a_half_closed_client_gets_its_answer(server: Server) -> None:
    with server.connect() as wire:
        assert wire.request().half_close().reply().text == "Hello, world!"
        wire.assert_closed()


def test_a_blank_line_before_a_request_is_skipped(server: Server) -> None:
    # RFC 9112, section 2.2: at least one, after the body of an old client's POST.
    with server.connect() as wire:
        assert wire.send(b"\r\n" + head()).reply().text == "Hello, world!"
        assert wire.send(b"\r\n" + head()).reply().text == "Hello, world!"


def test_an_idle_connection_is_closed_after_keep_alive(serve: Serve, kind: str) -> None:
    server = serve("lab", "--keep-alive", "1", kind=kind)
    with server.connect() as wire:
        begun = time.monotonic()
        wire.get()
        wire.assert_closed(within=6)
        assert 0.8 < time.monotonic() - begun < 4


def test_activity_renews_the_keep_alive(serve: Serve, kind: str) -> None:
    server = serve("lab", "--keep-alive", "2", kind=kind)
    with server.connect() as wire:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            assert wire.get().text == "Hello, world!"


def test_keep_alive_0_closes_every_connection(serve: Serve, kind: str) -> None:
    server = serve("lab", "--keep-alive", "0", kind=kind)
    with server.connect() as wire:
        assert wire.get().header("Connection") == "close"
        wire.assert_closed()


def test_the_default_is_longer_than_a_load_balancers(serve: Serve) -> None:
    """Sixty seconds is what load balancers keep; the test does not wait, it asks for the setting."""
    refusal = serve.refused("lab", "--print-config", bind=None)
    [line] = [each for each in refusal.text.splitlines() if each.startswith("keepalive ")]
    assert line.split("=")[1].strip() == "75"


def test_many_kept_connections_cost_no_thread(serve: Serve, kind: str) -> None:
    server = serve("lab", kind=kind)
    wires = [server.connect() for _ in range(100)]
    try:
        for _ in range(2):
            for wire in wires:
                assert wire.get().text == "Hello, world!"
    finally:
        for wire in wires:
            wire.close()


@parity
def test_a_client_that_ends_its_side_is_answered(serve: Serve, kind: str) -> None:
    """A half-closed connection can still be written to, and its request is whole."""
    server = serve("lab", kind=kind)
    with server.connect() as wire:
        wire.request("/pid").half_close()
        assert wire.reply().status == 200
