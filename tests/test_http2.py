"""HTTP/2 without TLS, by prior knowledge: requests and responses, with every worker class."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from harness import Serve, Server
from harness.http2 import Http2, connect

H2C = ("--http2-cleartext", "both")

#: The worker classes, with the application that each serves.
WORKERS = {
    "sync": ("lab", "-k", "sync"),
    "gthread": ("lab", "-k", "gthread", "--threads", "4"),
    "asyncio": ("asgi_lab", "-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("asgi_lab", "-k", "asgi", "--asgi-loop", "uvloop"),
}


@pytest.fixture(params=WORKERS, scope="module")
def worker(request: pytest.FixtureRequest) -> str:
    """Each worker class in turn."""
    return request.param


@pytest.fixture(scope="module")
def server(serve_module: Serve, worker: str) -> Server:
    return serve_module(*WORKERS[worker], *H2C, "--access-logfile", "-", "--limit-request-body", "5000000")


def h2(server: Server, **options: int) -> Http2:
    """A client of a server."""
    assert isinstance(server.address, tuple)
    host, port = server.address[:2]
    return connect(host, port, **options)


def test_a_request_is_answered(server: Server) -> None:
    with h2(server) as client:
        response = client.get()
        assert (response.status, response.text) == (200, "Hello, world!")
        assert response.header("content-length") == "13"
        assert response.header("server") == "oxicorn"
        assert response.header("connection") is None
        assert client.get().text == "Hello, world!"


def test_many_streams_are_answered_on_one_connection(server: Server) -> None:
    with h2(server) as client:
        streams = [client.begin() for _ in range(100)]
        assert [client.wait(stream).text for stream in streams] == ["Hello, world!"] * 100


def test_a_body_comes_back_whole(server: Server) -> None:
    body = bytes(range(256)) * 4000
    with h2(server) as client:
        assert client.post("/echo", body).body == body
        assert client.post("/echo", b"").body == b""
        assert client.post("/echo", b"abc", fields=[("content-length", "3")]).body == b"abc"


def test_bodies_of_several_streams_come_side_by_side(server: Server) -> None:
    with h2(server) as client:
        streams = [client.begin("/echo", method="POST", ends=False) for _ in range(5)]
        for part in (b"a", b"b", b"c"):
            for number in streams:
                client.data(number, part * 1000, ends=False)
        for number in reversed(streams):
            client.data(number, b"")
        expected = b"a" * 1000 + b"b" * 1000 + b"c" * 1000
        assert all(client.wait(number).body == expected for number in streams)


def test_the_application_is_told_of_the_version(server: Server, worker: str) -> None:
    is_wsgi = worker in ("sync", "gthread")
    path = "/environ" if is_wsgi else "/dump"
    with h2(server) as client:
        cookies = [("cookie", "a=1"), ("x-thing", "y"), ("cookie", "b=2")]
        seen = json.loads(client.get(f"{path}?q=1", fields=cookies).text)
    if is_wsgi:
        assert seen["SERVER_PROTOCOL"] == "HTTP/2.0"
        assert seen["HTTP_HOST"] == "test"
        assert seen["HTTP_COOKIE"] == "a=1; b=2"
        assert (seen["PATH_INFO"], seen["QUERY_STRING"]) == (path, "q=1")
        assert seen["wsgi.url_scheme"] == "http"
    else:
        assert (seen["http_version"], seen["scheme"]) == ("2", "http")
        headers = [tuple(pair[1:]) for pair in seen["headers"][1:]]
        assert headers[0] == ("b:host", "b:test")
        assert ("b:cookie", "b:a=1; b=2") in headers


def test_head_has_no_body(server: Server) -> None:
    with h2(server) as client:
        response = client.wait(client.begin(method="HEAD"))
        assert (response.status, response.header("content-length"), response.body) == (200, "13", b"")


def test_the_access_log_names_the_version(server: Server) -> None:
    with h2(server) as client:
        client.get("/seen-in-the-log")
    server.wait_log(r'"GET /seen-in-the-log HTTP/2\.0" \d+')


def test_a_body_that_is_too_long_is_refused_on_its_stream(server: Server) -> None:
    with h2(server) as client:
        too_long = [("content-length", "5000001")]
        number = client.begin("/echo", method="POST", fields=too_long, ends=False)
        assert client.wait(number).status == 413
        assert client.get().status == 200


def test_a_content_length_that_differs_breaks_its_stream_alone(server: Server) -> None:
    with h2(server) as client:
        other = client.begin("/echo", method="POST", ends=False)
        wrong = client.begin("/echo", method="POST", fields=[("content-length", "5")], ends=False)
        client.data(wrong, b"abc")
        assert client.wait(wrong).reset is not None
        client.data(other, b"whole")
        assert client.wait(other).text == "whole"


def test_a_client_that_expects_it_is_told_to_continue(server: Server) -> None:
    with h2(server) as client:
        expects = [("expect", "100-continue"), ("content-length", "3")]
        number = client.begin("/echo", method="POST", fields=expects, ends=False)
        while not client.streams[number].interim:
            assert client.read()
        assert client.streams[number].interim == [100]
        client.data(number, b"abc")
        assert client.wait(number).text == "abc"


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl_is_served(server: Server) -> None:
    words = ["curl", "-s", "-w", "%{http_version} %{http_code}", "--http2-prior-knowledge", f"{server.url}/echo"]
    done = subprocess.run([*words, "-d", "abc"], capture_output=True, text=True, timeout=15, check=True)
    assert done.stdout == "abc2 200"


@pytest.mark.skipif(not shutil.which("nghttp"), reason="no nghttp")
def test_nghttp_is_served(server: Server) -> None:
    words = ["nghttp", "-s", "--no-dep", *([f"{server.url}/"] * 5)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=15, check=True)
    assert done.stdout.count(" 200 ") >= 1, done.stdout


def test_a_peer_that_is_not_trusted_is_served_http_1(serve: Serve) -> None:
    server = serve("lab", *H2C, "--forwarded-allow-ips", "192.0.2.1")
    with server.connect() as wire:
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert wire.reply().status == 505


def test_with_prior_knowledge_alone_the_preface_is_asked_for(serve: Serve) -> None:
    server = serve("lab", "--http2-cleartext", "prior-knowledge", ready=False)
    server.wait_listening()
    with h2(server) as client:
        assert client.get().status == 200
    with server.connect() as wire:
        assert wire.request("/").reply().status == 400


def test_http_1_alone_is_spoken_where_h2_is_not_among_the_protocols(serve: Serve) -> None:
    server = serve("lab", *H2C, "--http-protocols", "h1")
    with server.connect() as wire:
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert wire.reply().status == 505
