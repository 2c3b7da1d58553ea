"""An application that fails: 500 to the client, a traceback in the log, a clean connection."""

from __future__ import annotations

import pytest
from harness import Serve, Server, better, parity


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("responses", kind=kind)


@parity
@pytest.mark.parametrize("view", ["early_error", "error_after_start", "error_in_first_piece"])
def test_an_error_before_the_first_byte_is_a_500(server: Server, view: str) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/{view}")
        assert reply.status == 500 and reply.reason == "Internal Server Error"
        assert reply.header("X-First") is None
        assert b"RuntimeError" not in reply.body, "the error is the operator's, not the client's"
        if reply.keeps_alive:
            assert wire.get("/").text == "Hello, world!"
        else:
            wire.assert_closed()


@parity
def test_the_traceback_is_in_the_log(serve: Serve, kind: str) -> None:
    server = serve("responses", kind=kind)
    server.get("/early_error?q=1")
    server.wait_log(
        r"\[ERROR\] Error handling request GET /early_error\?q=1\n"
        r"Traceback \(most recent call last\):\n"
        r"(.*\n)*?.*responses\.py.*in early_error\n"
        r"(.*\n)*?RuntimeError: before the start"
    )


@parity
def test_an_error_in_the_middle_cuts_a_chunked_body(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/error_mid_body")
        assert (reply.status, reply.body, reply.complete) == (200, b"the beginning", False)
    server.wait_log("RuntimeError: in the middle")


@parity
def test_an_error_in_the_middle_cuts_a_body_with_a_length(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/error_mid_length")
        assert (reply.status, reply.body, reply.complete) == (200, b"the beginning", False)


@parity
def test_a_body_that_nobody_read_does_not_leak_into_the_next_request(server: Server) -> None:
    with server.connect() as wire:
        body = b"GET /early_error HTTP/1.1\r\nHost: x\r\n\r\n"
        reply = wire.request("/early_error", method="POST", body=body).reply()
        assert reply.status == 500
        if reply.keeps_alive:
            assert wire.get("/").text == "Hello, world!"
        else:
            wire.assert_closed()


@parity("gthread")
def test_pipelined_requests_after_an_error_are_answered_in_order_or_not_at_all(
    server: Server,
) -> None:
    request = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
    with server.connect() as wire:
        wire.send(request % b"" + request % b"early_error" + request % b"")
        assert wire.reply().status == 200
        failed = wire.reply()
        assert failed.status == 500
        if failed.keeps_alive:
            assert wire.reply().text == "Hello, world!"
        else:
            wire.assert_closed()


@parity("gthread")
def test_the_worker_survives_errors(serve: Serve, kind: str) -> None:
    server = serve("responses", kind=kind)
    workers = server.wait_workers(1)
    for view in ("early_error", "error_mid_body", "never", "twice", "returns_str"):
        server.get(f"/{view}")
    assert server.get("/").text == "Hello, world!"
    assert server.workers() == workers


@parity("sync")
def test_system_exit_of_a_view_is_answered(serve: Serve, kind: str) -> None:
    """The client has its 500, and whether the worker stays or goes, the next one is served."""
    server = serve("responses", kind=kind)
    assert server.get("/system_exit").status == 500
    assert server.get("/").text == "Hello, world!"
    assert server.running


@better
def test_head_of_a_failing_view_has_no_body(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.request("/early_error", method="HEAD").reply(to="HEAD")
        assert reply.status == 500
        if reply.keeps_alive:
            assert wire.get("/").text == "Hello, world!"
        else:
            wire.assert_closed()
