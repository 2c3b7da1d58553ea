"""`start_response` is the one of PEP 3333: exc_info, `write()`, and no nonsense on the wire."""

from __future__ import annotations

import pytest
from harness import NAME, Serve, Server, better, parity


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("responses", kind=kind)


@parity
def test_write_comes_before_the_returned_body(server: Server) -> None:
    assert server.get("/write").text == "one two three"


@parity
def test_write_sends_at_once(serve: Serve, kind: str) -> None:
    server = serve("responses", kind=kind)
    with server.connect() as wire:
        wire.request("/write_and_wait")
        assert b"written" in wire.until(b"written")
        serve.gates.open("write")
        assert wire.until(b"and returned").endswith(b"and returned")


@better
def test_exc_info_before_the_first_byte_replaces_the_response(server: Server) -> None:
    reply = server.get("/replaced")
    assert (reply.status, reply.text) == (503, "sorry")
    assert reply.header("X-First") is None and reply.header("X-Second") == "yes"


@parity
def test_exc_info_after_the_first_byte_is_raised_again(serve_module: Serve, server: Server) -> None:
    with server.connect() as wire:
        reply = wire.request("/too_late").reply()
        assert (reply.status, reply.body, reply.complete) == (200, b"begun", False)
    serve_module.gates.wait_marked("reraised-the-first-error")


@parity("gthread")
@pytest.mark.parametrize("view", ["twice", "never", "bytes_status"])
def test_misuse_is_a_500(server: Server, view: str) -> None:
    assert server.get(f"/{view}").status == 500


@parity
@pytest.mark.parametrize(
    "name",
    [
        "newline",
        "lone-newline",
        "nul",
        "name",
        "name-newline",
        "empty-name",
        "bytes",
        "int",
        "triple",
        "not-latin-1",
        "length",
        pytest.param("negative-length", marks=better),
        pytest.param("two-lengths", marks=better),
    ],
)
def test_a_bad_field_is_a_500_and_not_sent(server: Server, name: str) -> None:
    reply = server.get(f"/bad_field?{name}")
    assert reply.status == 500
    assert reply.header("X-Bad") is None and reply.header("X-Injected") is None


GIVEN = [
    "tuple",
    "iterator",
    "generator",
    "items",
    "object",
    "lists",
    "tuple-of-lists",
    "pair-iterators",
    "pair-objects",
    "str-subclass",
    "none",
]


@parity
@pytest.mark.parametrize("given", GIVEN)
def test_fields_may_be_any_iterable_of_pairs(server: Server, given: str) -> None:
    reply = server.get(f"/given_fields?{given}")
    assert (reply.status, reply.text) == (200, "body")
    expected = {"none": [[], []], "items": [["1"], ["2"]]}.get(given, [["1"], ["2", "3"]])
    assert [reply.all("X-One"), reply.all("X-Two")] == expected


@parity
@pytest.mark.parametrize("given", ["mapping", "str", "null", "number", "flat", "one", "three", "raising", "null-pair"])
def test_what_gives_no_pairs_is_a_500(server: Server, given: str) -> None:
    reply = server.get(f"/wrong_fields?{given}")
    assert reply.status == 500
    assert reply.header("X-Bad") is None and reply.header("X-One") is None


def test_fields_that_start_the_response_themselves_are_a_second_start(server: Server) -> None:
    """One head is on the wire, and never two."""
    with server.connect() as wire:
        received = wire.request("/fields_that_start").until(b"begun") + wire.rest_or_reset()
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"X-Inner: yes" in received and b"X-Outer" not in received and b"never" not in received


@parity
@pytest.mark.parametrize(
    "status",
    ["", "OK", "20%20OK", "abc%20OK", "2000%20OK", pytest.param("103%20Early%20Hints", marks=better)],
)
def test_a_bad_status_is_a_500(server: Server, status: str) -> None:
    assert server.get(f"/bad_status?{status}").status == 500


@parity
def test_misuse_says_in_the_log_what_was_wrong(server: Server) -> None:
    server.get("/bad_field?newline")
    server.wait_log("X-Bad")
    server.get("/twice")
    server.wait_log("start_response|headers already set")


@parity
def test_the_start_may_come_with_the_first_piece(server: Server) -> None:
    assert server.get("/late").text == "late"


@parity("gthread")
@pytest.mark.parametrize("view", ["empty", "empty_pieces"])
def test_empty_bodies_and_pieces(server: Server, view: str) -> None:
    with server.connect() as wire:
        reply = wire.get(f"/{view}")
        assert (reply.status, reply.text) == (200, "" if view == "empty" else "full")
        assert 0 not in reply.chunks
        assert wire.get("/").text == "Hello, world!"


@parity("gthread")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("given", ["bytes", "str", "bytearray", "memoryview", "subclass"])
@pytest.mark.parametrize("status", [200, 204, 302, 304, 404])
def test_an_empty_string_is_an_empty_body(server: Server, status: int, given: str, method: str) -> None:
    with server.connect() as wire:
        reply = wire.request(f"/empty_string/{status}?{given}", method=method).reply(to=method)
        assert (reply.status, reply.reason, reply.body) == (status, "Given", b"")
        assert reply.header("X-Kept") == "yes"
        assert wire.get("/").text == "Hello, world!"


@better
@pytest.mark.parametrize("given", ["bytes", "str", "bytearray", "memoryview"])
def test_a_string_with_characters_is_no_body(server: Server, given: str) -> None:
    """Iterated, it would be numbers or characters."""
    reply = server.get(f"/string?{given}")
    assert reply.status == 500 and b"text" not in reply.body


@parity("gthread")
def test_an_empty_string_does_not_stand_for_start_response(server: Server) -> None:
    assert server.get("/empty_string_without_start").status == 500


@better
def test_a_str_body_is_an_error_and_not_an_answer(server: Server) -> None:
    reply = server.get("/returns_str")
    assert reply.status == 500


@parity("gthread")
def test_fields_of_the_connection_are_the_servers(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/hop_by_hop")
        assert reply.text == "body"
        assert reply.header("X-Kept") == "yes"
        for name in ("Keep-Alive", "Upgrade", "TE", "Proxy-Authenticate"):
            assert reply.header(name) is None
        assert wire.get("/").text == "Hello, world!"


@parity("sync")
def test_the_application_may_close_the_connection(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/says_close")
        assert (reply.header("Connection"), reply.text) == ("close", "last")
        wire.assert_closed()


@better
def test_the_applications_date_and_server_stand(server: Server) -> None:
    reply = server.get("/own_fields")
    assert reply.header("Server") == "mine"
    assert reply.header("Date") == "Thu, 01 Jan 1970 00:00:00 GMT"


@parity
def test_date_and_server_are_added(server: Server) -> None:
    reply = server.get("/")
    assert reply.header("Server") == NAME
    assert reply.header("Date").endswith(" GMT")


@parity
def test_repeated_fields_stay_apart_and_in_order(server: Server) -> None:
    assert server.get("/cookies").all("Set-Cookie") == ["a=1", "b=2"]


@parity
def test_status_and_reason_are_the_applications(server: Server) -> None:
    reply = server.get("/odd_reason")
    assert (reply.status, reply.reason) == (299, "All Is Well \u00fc")


@parity
@pytest.mark.parametrize("given", GIVEN)
def test_early_hints_may_be_any_iterable_of_pairs(server: Server, given: str) -> None:
    with server.connect() as wire:
        wire.request(f"/early_hints_given?{given}")
        hints = wire.interim()
        assert hints.status == 103
        assert hints.all("X-One") == ([] if given == "none" else ["1"])
        assert wire.reply().text == "final"


@parity
def test_early_hints_go_out_before_the_response(server: Server) -> None:
    with server.connect() as wire:
        wire.request("/early_hints")
        hints = wire.interim()
        assert (hints.status, hints.header("Link")) == (103, "</style.css>; rel=preload")
        assert wire.reply().text == "final"
