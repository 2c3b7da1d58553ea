"""`wsgi.input` reads like a file, whether the body came with a length or in chunks."""

from __future__ import annotations

import hashlib
import os

import pytest
from harness import Serve, Server, parity
from harness.wire import chunk, head

TEXT = b"first\nsecond\n\nfourth without end"
LINES = ["first\n", "second\n", "\n", "fourth without end"]


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("inputs", kind=kind)


@pytest.fixture(scope="module")
def lab(serve_module: Serve, kind: str) -> Server:
    return serve_module("lab", kind=kind)


def fixed(target: str, body: bytes) -> bytes:
    return head(target, method="POST", body=body) + body


def chunked(target: str, body: bytes, size: int = 4) -> bytes:
    """`body` in chunks of `size` bytes, so that no line ends with a chunk by intention."""
    pieces = [chunk(body[at : at + size]) for at in range(0, len(body), size)]
    fields = [("Transfer-Encoding", "chunked")]
    return head(target, method="POST", fields=fields) + b"".join(pieces) + chunk(b"")


FRAMINGS = pytest.mark.parametrize("framing", [fixed, chunked])


def ask(server: Server, request: bytes) -> list:
    with server.connect() as wire:
        reply = wire.send(request).reply()
    assert reply.status == 200, reply
    return reply.json()


@parity
@FRAMINGS
@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ("read", [TEXT.decode()]),
        ("read:None", [TEXT.decode()]),
        ("read:-1", [TEXT.decode()]),
        ("read:3,read:4,read:0,read", ["fir", "st\ns", "", TEXT[7:].decode()]),
        ("read:1000,read:1", [TEXT.decode(), ""]),
        ("line,line,line,line,line", [*LINES, ""]),
        ("line:3,line:3,line:3", ["fir", "st\n", "sec"]),
        ("line:0,line", ["", "first\n"]),
        ("line:None,line:-1", LINES[:2]),
        ("lines", [LINES]),
        ("lines:None", [LINES]),
        ("lines:1,lines:7,lines", [["first\n"], ["second\n"], LINES[2:]]),
        ("line,read:3,lines", ["first\n", "sec", ["ond\n", *LINES[2:]]]),
    ],
)
def test_calls(server: Server, framing, calls: str, expected: list) -> None:
    if calls == "lines:1,lines:7,lines":
        # A hint is a lower bound that an implementation may round up (PEP 3333 lets it be ignored).
        got = ask(server, framing(f"/calls?{calls}", TEXT))
        assert [line for part in got for line in part] == LINES
        return
    assert ask(server, framing(f"/calls?{calls}", TEXT)) == expected


@parity
@FRAMINGS
def test_iteration_gives_lines(server: Server, framing) -> None:
    assert ask(server, framing("/iterate", TEXT)) == LINES


@parity
@FRAMINGS
def test_the_end_stays_the_end(server: Server, framing) -> None:
    assert ask(server, framing("/again", TEXT)) == ["", "", "", [], []]


@parity
def test_no_body_is_an_empty_body(server: Server) -> None:
    assert ask(server, head("/calls?read,line,lines")) == ["", "", []]


@parity
@FRAMINGS
def test_a_long_body_arrives_whole(lab: Server, framing) -> None:
    """Long enough to be spooled to a file, with a line that is longer than any buffer."""
    body = os.urandom(3_000_001)
    request = framing("/echo", body) if framing is fixed else chunked("/echo", body, 70_001)
    with lab.connect() as wire:
        reply = wire.send(request).reply()
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(body).digest()


@parity("gthread")
@FRAMINGS
def test_a_body_that_was_not_read_does_not_become_a_request(lab: Server, framing) -> None:
    with lab.connect() as wire:
        wire.send(framing("/unread", b"GET /error/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"))
        reply = wire.reply()
        assert reply.text == "not read"
        assert reply.keeps_alive
        assert wire.get("/").text == "Hello, world!"


@parity
def test_a_body_sent_byte_by_byte(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.send_bytewise(chunked("/iterate", TEXT)).reply()
    assert reply.json() == LINES


@parity
def test_a_chunked_body_has_no_content_length(lab: Server) -> None:
    request = chunked("/environ", b"abc")
    with lab.connect() as wire:
        environ = wire.send(request).reply().json()
    assert "CONTENT_LENGTH" not in environ
    assert environ["wsgi.input_terminated"] is True


@parity("gthread")
def test_chunk_extensions_and_trailers_are_not_in_the_body(lab: Server) -> None:
    request = (
        head("/echo", method="POST", fields=[("Transfer-Encoding", "chunked")])
        + b'3;name=value;quoted="a b"\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: yes\r\n\r\n'
    )
    with lab.connect() as wire:
        assert wire.send(request).reply().text == "abcde"
        assert wire.get("/").text == "Hello, world!"


@parity
def test_trailers_do_not_become_fields(lab: Server) -> None:
    request = (
        head("/environ", method="POST", fields=[("Transfer-Encoding", "chunked")]) + b"0\r\nX-Trailer: yes\r\n\r\n"
    )
    with lab.connect() as wire:
        assert "HTTP_X_TRAILER" not in wire.send(request).reply().json()


def test_a_client_that_leaves_within_its_body_calls_nothing(lab: Server, serve_module: Serve) -> None:
    with lab.connect() as wire:
        wire.send(head("/gate/never", method="POST", body=b"abc") + b"a")
    with lab.connect() as wire:
        wire.send(head("/gate/never", method="POST", body=b"abc") + b"a").half_close()
        reply = wire.rest_or_reset()
        assert reply == b"" or reply.startswith(b"HTTP/1.1 400 ")
    assert lab.get().text == "Hello, world!"
    assert not serve_module.gates.entered("never")


@parity("gthread")
def test_reads_of_a_large_body_in_pieces(lab: Server) -> None:
    assert lab.post("/length", b"z" * 5_000_000).text == "5000000"


#: A body that stays in memory, and one that is spooled to a file.
BODIES = pytest.mark.parametrize(
    "body", [TEXT, TEXT + b"\n" + b"line of a long body\n" * 40_000], ids=["short", "long"]
)


@FRAMINGS
@BODIES
@pytest.mark.parametrize(
    "case",
    ["sought", "beyond", "wrong_seeks", "read_into", "as_text", "buffered", "copied", "described"],
)
def test_it_does_what_bytes_in_memory_do(server: Server, framing, body: bytes, case: str) -> None:
    request = framing(f"/compared?{case}", body) if framing is fixed else chunked(f"/compared?{case}", body, 65_536)
    got, expected = ask(server, request)
    assert got == expected


@pytest.mark.parametrize("case", ["wrong_seeks", "copied", "described"])
def test_an_empty_one_does_so_too(server: Server, case: str) -> None:
    got, expected = ask(server, head(f"/compared?{case}"))
    assert got == expected


@BODIES
def test_sizes_may_be_given_by_keyword(server: Server, body: bytes) -> None:
    got = ask(server, fixed("/keywords", body))
    assert got[:3] == ["fir", "st", ["\n"]]
    assert got[3].startswith("second\n") and got[4:] == [["first\n"], "second\n"]


@BODIES
def test_streams_over_it_leave_no_noise(server: Server, body: bytes) -> None:
    assert ask(server, fixed("/dropped", body)) == [False, "first\n"]


def test_the_position_ends_with_its_request(server: Server) -> None:
    for request in (head("/position_left"), fixed("/position_left", TEXT), head("/position_left")):
        assert ask(server, request) == [0]


def test_errors_is_a_text_stream(serve: Serve, kind: str) -> None:
    server = serve("inputs", kind=kind)
    facts, unsupported, more, named, errors, mode, iterated = ask(server, head("/errors"))
    assert facts == [False, True, False, False, False]
    assert unsupported == ["UnsupportedOperation"] * 7
    assert more == ["TypeError", 4, "utf-8", False, True]
    assert (named, errors, mode, iterated) == (True, "backslashreplace", "w", "UnsupportedOperation")
    server.wait_log("written within with\nprinted\na lone \\\\udcff surrogate\nfour")
