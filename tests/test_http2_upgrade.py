"""From HTTP/1.1 to HTTP/2 by `Upgrade: h2c` (RFC 7540, section 3.2)."""

from __future__ import annotations

import shutil
import socket
import subprocess

import pytest
from harness import Serve, Server
from harness.http2 import Http2, Response
from harness.wire import head
from test_http2 import WORKERS

ASKS = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")]


@pytest.fixture(params=["sync", "asyncio"], scope="module")
def server(serve_module: Serve, request: pytest.FixtureRequest) -> Server:
    return serve_module(*WORKERS[request.param], "--http2-cleartext", "upgrade")


def test_the_request_becomes_the_first_stream(server: Server) -> None:
    assert isinstance(server.address, tuple)
    sock = socket.create_connection(server.address[:2])
    with Http2(sock, begins=False) as client:
        settings = client.h2.initiate_upgrade_connection()
        assert settings is not None
        sock.sendall(head("/", fields=[*ASKS, ("HTTP2-Settings", settings.decode())]))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        client.streams[1] = Response()
        client.flush()
        assert client.wait(1).text == "Hello, world!"
        assert client.get().text == "Hello, world!"
        assert client.post("/echo", b"abc").text == "abc"


@pytest.mark.parametrize("settings", [[], ["AAMAAABkAAQAAP__"] * 2, ["not base64!"], ["AAM"]])
def test_a_request_that_does_not_ask_rightly_is_answered_as_it_is(server: Server, settings: list[str]) -> None:
    fields = [*ASKS, *(("HTTP2-Settings", each) for each in settings)]
    with server.connect() as wire:
        assert wire.send(head("/", fields=fields)).reply().text == "Hello, world!"
        assert wire.get().text == "Hello, world!"


def test_the_preface_is_not_taken_without_being_asked_for(server: Server) -> None:
    with server.connect() as wire:
        assert wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").reply().status == 505


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl_upgrades(server: Server) -> None:
    words = ["curl", "-s", "-w", "%{http_version} %{http_code}", "--http2", f"{server.url}/"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=15, check=True)
    assert done.stdout == "Hello, world!2 200"


@pytest.mark.skipif(not shutil.which("nghttp"), reason="no nghttp")
def test_nghttp_upgrades(server: Server) -> None:
    words = ["nghttp", "-u", f"{server.url}/"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=15, check=True)
    assert done.stdout == "Hello, world!"
