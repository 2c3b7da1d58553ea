"""Responses are compressed where a client takes it and nothing forbids it: every worker class, every protocol."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import APPS, Serve, Server
from harness.http2 import connect
from harness.wire import head

brotli = pytest.importorskip("brotli", reason="the decoder of brotli is not installed")
zstandard = pytest.importorskip("zstandard", reason="the decoder of zstd is not installed")

sys.path.insert(0, str(APPS))
from compressed import EVENTS, TEXT  # noqa: E402

CLASSES = {
    "sync": ("compressed:wsgi", "-k", "sync"),
    "gthread": ("compressed:wsgi", "-k", "gthread", "--threads", "2"),
    "gevent": ("compressed:wsgi", "-k", "gevent"),
    "asyncio": ("compressed:asgi", "-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("compressed:asgi", "-k", "asgi", "--asgi-loop", "uvloop"),
}
#: What decodes as the bytes arrive.
DECODERS: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "gzip": lambda: zlib.decompressobj(31).decompress,
    "br": lambda: brotli.Decompressor().process,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
}
ALL = "gzip, deflate, br, zstd"


def decoded(coding: str | None, body: bytes) -> bytes:
    return DECODERS[coding]()(body) if coding else body


@dataclass
class Answer:
    """A response by either protocol."""

    status: int
    fields: dict[str, list[str]]
    body: bytes
    complete: bool = True

    def header(self, name: str) -> str | None:
        values = self.fields.get(name.lower(), [])
        return ", ".join(values) or None

    @property
    def coding(self) -> str | None:
        return self.header("content-encoding")

    @property
    def content(self) -> bytes:
        return decoded(self.coding, self.body)


def by_name(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name.lower(), []).append(value)
    return found


@pytest.fixture(params=CLASSES, scope="module")
def worker(request: pytest.FixtureRequest) -> str:
    if request.param == "gevent":
        pytest.importorskip("gevent", reason="gevent is not installed")
    return request.param


@pytest.fixture(scope="module")
def server(serve_module: Serve, worker: str) -> Server:
    return serve_module(*CLASSES[worker], "--compress", "--http2-cleartext", "both")


@pytest.fixture(params=["h1", "h2"])
def ask(server: Server, request: pytest.FixtureRequest) -> Callable[..., Answer]:
    """Sends a request by either protocol."""

    def h1(target: str, *fields: tuple[str, str], method: str = "GET") -> Answer:
        with server.connect() as wire:
            reply = wire.request(target, method=method, fields=fields).reply(to=method)
            if reply.complete and reply.keeps_alive:
                # What follows is another response, so the framing was right.
                assert wire.get("/small").status == 200
            return Answer(reply.status, by_name(reply.fields), reply.body, reply.complete)

    def h2(target: str, *fields: tuple[str, str], method: str = "GET") -> Answer:
        assert isinstance(server.address, tuple)
        lower = [(name.lower(), value) for name, value in fields]
        with connect(*server.address[:2]) as client:
            reply = client.wait(client.begin(target, method=method, fields=lower))
            return Answer(reply.status, by_name(reply.fields), reply.body, reply.ended)

    return h1 if request.param == "h1" else h2


def accept(codings: str) -> tuple[str, str]:
    return ("Accept-Encoding", codings)


@pytest.mark.parametrize(
    ("codings", "expected"),
    [
        (ALL, "zstd"),
        ("gzip, br", "br"),
        ("gzip", "gzip"),
        ("zstd;q=0.5, br;q=0.1, gzip;q=0.9", "gzip"),
        ("zstd;q=0, *", "br"),
        ("deflate", None),
        ("identity", None),
        (None, None),
    ],
)
def test_the_client_chooses(ask, codings: str | None, expected: str | None) -> None:
    fields = [accept(codings)] if codings else []
    for case in ("whole", "unsized", "error", "pieces", "sized-pieces"):
        reply = ask(f"/{case}", *fields)
        assert (reply.coding, reply.header("vary")) == (expected, "Accept-Encoding"), case
        assert reply.complete and reply.content == TEXT, case
        if expected:
            assert len(reply.body) < len(TEXT) / 4, case
    assert ask("/error", *fields).status == 404


def test_a_whole_body_has_its_length(ask) -> None:
    reply = ask("/whole", accept("gzip"))
    assert reply.header("content-length") == str(len(reply.body))
    assert gzip.decompress(reply.body) == TEXT
    assert reply.header("etag") == 'W/"v1"'
    assert reply.header("accept-ranges") is None


@pytest.mark.parametrize("coding", DECODERS)
def test_an_event_arrives_at_once(serve: Serve, worker: str, coding: str) -> None:
    server = serve(*CLASSES[worker], "--compress", "--http2-cleartext", "both")
    decode = DECODERS[coding]()
    with server.connect() as wire:
        wire.request("/gate/one", fields=[accept(coding)])
        response = wire.until(b"\r\n\r\n").decode()
        assert f"Content-Encoding: {coding}\r\n" in response and "chunked" in response
        assert decode(one_chunk(wire)) == EVENTS[0]
        serve.gates.open("one")
        assert decode(one_chunk(wire)) == EVENTS[1]
        if wire.buffer[:1] != b"0":
            assert decode(one_chunk(wire)) == b""
        assert wire.exactly(5) == b"0\r\n\r\n"
    decode = DECODERS[coding]()
    assert isinstance(server.address, tuple)
    with connect(*server.address[:2]) as client:
        number = client.begin("/gate/two", fields=[("accept-encoding", coding)])
        while not (body := client.streams[number].body):
            assert client.read()
        assert decode(body) == EVENTS[0]
        serve.gates.open("two")
        assert decode(client.wait(number).body[len(body) :]) == EVENTS[1]


def one_chunk(wire) -> bytes:
    size = int(wire.until(b"\r\n"), 16)
    data = wire.exactly(size)
    assert wire.exactly(2) == b"\r\n"
    return data


def test_some_responses_are_left_alone(ask) -> None:
    for case in ("small", "empty", "image", "untyped", "cookie", "encoded", "no-transform", "md5", "digest", "part"):
        plain, reply = ask(f"/{case}"), ask(f"/{case}", accept(ALL))
        fields = [{name: value for name, value in each.fields.items() if name != "date"} for each in (plain, reply)]
        assert fields[0] == fields[1] and reply.body == plain.body, case
        assert reply.header("vary") is None, case


def test_head_says_what_get_says(ask) -> None:
    for coding in (None, "gzip"):
        fields = [accept(coding)] if coding else []
        for case in ("whole", "small", "image", "pieces"):
            got, told = ask(f"/{case}", *fields), ask(f"/{case}", *fields, method="HEAD")
            assert told.body == b""
            left = {"date", "content-length", "transfer-encoding", "connection"}
            assert {name: value for name, value in got.fields.items() if name not in left} == {
                name: value for name, value in told.fields.items() if name not in left
            }, case
            assert told.header("content-length") in (None, got.header("content-length"))


def test_not_modified_has_the_tag_of_the_whole(ask) -> None:
    etag = ask("/whole", accept("gzip")).header("etag")
    assert etag == 'W/"v1"'
    reply = ask("/whole", accept("gzip"), ("If-None-Match", etag))
    assert (reply.status, reply.header("etag"), reply.header("vary")) == (304, etag, "Accept-Encoding")
    reply = ask("/whole", ("If-None-Match", '"v1"'))
    assert (reply.status, reply.header("etag"), reply.header("vary")) == (304, '"v1"', "Accept-Encoding")


def test_a_token_against_forgery_is_not_compressed(ask) -> None:
    reply = ask("/whole", accept(ALL), ("Cookie", "a=b; csrftoken=secret"))
    assert (reply.coding, reply.header("vary"), reply.content) == (None, "Accept-Encoding", TEXT)
    assert ask("/whole", accept(ALL), ("Cookie", "sessionid=x")).coding == "zstd"


def test_a_stated_length_is_held(ask, server: Server) -> None:
    reply = ask("/long", accept("gzip"))
    assert (reply.coding, reply.complete, reply.content) == ("gzip", True, TEXT[:2000])
    reply = ask("/short", accept("gzip"))
    assert reply.coding == "gzip" and not reply.complete
    server.wait_log("was shorter than its Content-Length")


def test_http_1_0_gets_what_has_a_length(server: Server) -> None:
    for target, coding in (("/whole", "gzip"), ("/pieces", None)):
        with server.connect() as wire:
            wire.send(head(target, version="HTTP/1.0", fields=[accept("gzip")]))
            reply = wire.reply()
            assert reply.header("Content-Encoding") == coding
            assert decoded(coding, reply.body) == TEXT


def test_a_wrapped_file_is_compressed(serve: Serve) -> None:
    server = serve("compressed:wsgi", "-k", "sync", "--compress")
    with server.connect() as wire:
        reply = wire.get("/file", fields=[accept("zstd")])
        assert reply.header("Content-Encoding") == "zstd"
        assert decoded("zstd", reply.body) == TEXT
        assert wire.get("/file").body == TEXT


def test_big_bodies_do_not_hold_an_event_loop(serve: Serve, worker: str) -> None:
    server = serve(*CLASSES[worker], "--compress", "gzip")
    with server.connect() as wire:
        # Above 8 MiB, which takes too long for a loop.
        reply = wire.get("/length/9000000", fields=[accept("gzip")])
        is_loop = worker not in ("sync", "gthread")
        assert reply.header("Content-Encoding") == (None if is_loop and worker != "gevent" else "gzip")
        assert decoded(reply.header("Content-Encoding"), reply.body) == b"x" * 9_000_000
        reply = wire.get("/big", fields=[accept("gzip")])
        assert reply.header("Content-Encoding") == "gzip"
        assert decoded("gzip", reply.body) == TEXT * 100


def test_what_is_compressed_is_the_operators_choice(serve: Serve) -> None:
    options = ("--compress", "gzip:1,br", "--compress-min-length", "10", "--compress-types", "text/*")
    server = serve("compressed:wsgi", "-k", "sync", *options, "--compress-with-cookies", "/length/")
    fields = [accept(ALL), ("Cookie", "csrftoken=x")]
    with server.connect() as wire:
        assert wire.get("/whole", fields=fields).header("Content-Encoding") is None
        reply = wire.get("/length/10", fields=fields)
        assert reply.header("Content-Encoding") == "gzip"
        assert gzip.decompress(reply.body) == b"x" * 10
        assert wire.get("/length/9", fields=fields).header("Content-Encoding") is None
        # An attacker learns little from a length that changes by chance.
        lengths = {len(wire.get("/length/100", fields=fields).body) for _ in range(50)}
        assert len(lengths) > 5


def test_the_operators_vary_stays(serve: Serve) -> None:
    server = serve("compressed:wsgi", "-k", "sync", "--compress", "--header", "Vary: Origin")
    with server.connect() as wire:
        for coding in (ALL, "identity"):
            vary = [
                value for name, value in wire.get("/whole", fields=[accept(coding)]).fields if name.lower() == "vary"
            ]
            assert sorted(", ".join(vary).split(", ")) == ["Accept-Encoding", "Origin"]


def test_the_servers_own_answers_are_not_compressed(serve: Serve, tmp_path: Path) -> None:
    page = tmp_path / "slower.html"
    page.write_text("<p>slower</p>" * 1000)
    options = ("--rate-limit", "/whole=1/h", "--error-page", f"429={page}")
    server = serve("compressed:wsgi", "-k", "sync", "--compress", *options)
    with server.connect() as wire:
        assert wire.get("/whole", fields=[accept(ALL)]).header("Content-Encoding") == "zstd"
        reply = wire.get("/whole", fields=[accept(ALL)])
        assert (reply.status, reply.header("Content-Encoding")) == (429, None)
        assert reply.body == page.read_bytes()


@pytest.mark.parametrize("types", ["*/*", "application/*+json", "/*"])
def test_types_that_match_nothing_are_refused(serve: Serve, types: str) -> None:
    refusal = serve.refused("compressed:wsgi", "--compress", "--compress-types", types)
    assert "compress" in refusal.text and types in refusal.text


def test_the_log_counts_what_was_sent(serve: Serve) -> None:
    server = serve(
        "compressed:wsgi", "-k", "sync", "--compress", "--access-logfile", "-", "--access-logformat", "%(B)s."
    )
    with server.connect() as wire:
        sent = len(wire.get("/whole", fields=[accept("br")]).body)
    server.wait_log(f"{sent}.")


def test_files_are_left_to_their_siblings(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("p {}\n" * 1000)
    server = serve("compressed:wsgi", "-k", "sync", "--compress", "--static", f"/static/={tmp_path}")
    with server.connect() as wire:
        reply = wire.get("/static/a.css", fields=[accept("gzip")])
        assert (reply.status, reply.header("Content-Encoding")) == (200, None)
