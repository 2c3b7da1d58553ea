"""HTTP/2 over TLS: which protocol a client gets (ALPN), what is served over it, and that a reload loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import threading
from pathlib import Path
from signal import SIGHUP

import pytest
from harness import Authority, Pair, Serve, Server, eventually, needs_openssl
from harness.http2 import Http2
from harness.wire import head
from test_http2 import WORKERS
from test_http2_streams import big

pytestmark = needs_openssl

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_nghttp = pytest.mark.skipif(shutil.which("nghttp") is None, reason="nghttp is not installed")

SIZE = 20 * 1024 * 1024


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture(params=WORKERS, scope="module")
def worker(request: pytest.FixtureRequest) -> str:
    """Each worker class in turn."""
    return request.param


@pytest.fixture(scope="module")
def server(serve_module: Serve, authority: Authority, pair: Pair, worker: str) -> Server:
    return serve_module(*WORKERS[worker], *pair.options, "-w", "1", "--access-logfile", "-", trust=authority.context())


def offering(server: Server, authority: Authority, *protocols: str) -> ssl.SSLSocket:
    """A TLS connection of a client that offers these protocols."""
    context = authority.context()
    context.set_alpn_protocols(list(protocols))
    sock = server.connect_plain().secure(context).socket
    assert isinstance(sock, ssl.SSLSocket)
    return sock


def h2(server: Server, authority: Authority, *, reads: bool = True) -> Http2:
    """A client of HTTP/2 that has agreed on it by ALPN."""
    sock = offering(server, authority, "h2")
    assert sock.selected_alpn_protocol() == "h2"
    return Http2(sock, reads=reads)


def curl(server: Server, authority: Authority, *words: str | Path, path: str = "/") -> bytes:
    """What curl prints that prefers HTTP/2."""
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--http2", "--cacert", authority.certfile),
            *(*words, server.url.replace("127.0.0.1", "localhost") + path),
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout


# ALPN


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["h2", "http/1.1"], "h2"),
        # The server's order, not the client's.
        (["http/1.1", "h2"], "h2"),
        (["http/1.1"], "http/1.1"),
        (["h2"], "h2"),
        (["spdy/3", "http/1.1"], "http/1.1"),
    ],
)
def test_the_protocol_is_chosen_by_alpn(server: Server, authority: Authority, offered: list[str], chosen: str) -> None:
    with offering(server, authority, *offered) as sock:
        assert sock.selected_alpn_protocol() == chosen


def test_a_client_without_alpn_gets_http_1(server: Server, authority: Authority) -> None:
    with server.connect_plain() as wire:
        wire.secure(authority.context())
        assert isinstance(wire.socket, ssl.SSLSocket) and wire.socket.selected_alpn_protocol() is None
        assert wire.get("/").text == "Hello, world!"


def test_a_client_that_offers_nothing_known_is_refused(server: Server, authority: Authority) -> None:
    """RFC 7301, section 3.2: with the alert no_application_protocol."""
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        offering(server, authority, "spdy/3")
    assert server.get("/").status == 200


@pytest.mark.parametrize(
    ("protocols", "chosen"), [("h1", "http/1.1"), ("h2,h1", "h2"), ("h1,h2", "http/1.1"), ("h2", "h2")]
)
def test_http_protocols_say_what_is_offered(
    serve: Serve, authority: Authority, pair: Pair, protocols: str, chosen: str
) -> None:
    server = serve("lab", *pair.options, "--http-protocols", protocols, trust=authority.context(), ready=False)
    server.wait_listening()
    with offering(server, authority, "http/1.1", "h2") as sock:
        assert sock.selected_alpn_protocol() == chosen


def test_http_1_after_h2_was_agreed_is_refused(server: Server, authority: Authority) -> None:
    with server.connect_plain() as wire:
        wire.socket = offering(server, authority, "h2")
        wire.send(head("/"))
        reply = wire.reply()
        assert reply.status == 400 and "HTTP/2" in reply.text
        assert wire.rest() == b""


# What is served


def test_httpx_is_served(server: Server, authority: Authority) -> None:
    with server.client(http2=True, verify=authority.context()) as client:
        replies = [client.get("/") for _ in range(3)]
        assert [(reply.text, reply.http_version) for reply in replies] == [("Hello, world!", "HTTP/2")] * 3
        body = os.urandom(3_000_000)
        assert client.post("/echo", content=body).content == body
        reply = client.head("/")
        assert (reply.status_code, reply.headers["content-length"], reply.content) == (200, "13", b"")
    server.wait_log(r'"HEAD / HTTP/2\.0" 200')


@needs_curl
def test_curl_is_served(server: Server, authority: Authority) -> None:
    assert curl(server, authority, "-w", " %{http_version}") == b"Hello, world! 2"
    said = curl(server, authority, "--head", "-w", "%{http_version} %{size_download}")
    assert said.startswith(b"HTTP/2 200") and said.endswith(b"2 0")


@needs_curl
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_an_upload_and_a_download_of_curl_are_whole(
    server: Server, authority: Authority, worker: str, tmp_path: Path, version: str
) -> None:
    versions = (f"--tlsv{version}", "--tls-max", version)
    body, got = tmp_path / "body", tmp_path / "got"
    body.write_bytes(os.urandom(3_000_000))
    curl(server, authority, *versions, "--data-binary", f"@{body}", "-o", got, path="/echo")
    assert got.read_bytes() == body.read_bytes()
    curl(server, authority, *versions, "-o", got, path=big(worker, SIZE))
    assert got.stat().st_size == SIZE


@needs_nghttp
def test_nghttp_is_served(server: Server) -> None:
    words = ["nghttp", "-s", "--no-dep", *([f"{server.url}/"] * 5)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=15, check=True)
    assert done.stdout.count(" 200 ") >= 1, done.stdout


def test_the_application_learns_version_and_scheme(server: Server, authority: Authority, worker: str) -> None:
    is_wsgi = worker in ("sync", "gthread")
    with h2(server, authority) as client:
        seen = json.loads(client.get("/environ" if is_wsgi else "/dump").text)
    if is_wsgi:
        assert (seen["SERVER_PROTOCOL"], seen["wsgi.url_scheme"]) == ("HTTP/2.0", "https")
    else:
        assert (seen["http_version"], seen["scheme"]) == ("2", "https")


def test_many_streams_are_answered_on_one_connection(server: Server, authority: Authority) -> None:
    with h2(server, authority) as client:
        streams = [client.begin() for _ in range(100)]
        assert [client.wait(stream).text for stream in streams] == ["Hello, world!"] * 100


def test_a_long_response_holds_up_no_short_one(server: Server, authority: Authority, worker: str) -> None:
    with h2(server, authority, reads=False) as client:
        number = client.begin(big(worker, SIZE))
        while not client.streams[number].body:
            assert client.read()
        assert client.wait(client.begin(method="HEAD")).status == 200
    assert server.get("/").status == 200


def test_the_preface_may_come_in_bytes(server: Server, authority: Authority) -> None:
    with Http2(offering(server, authority, "h2"), begins=False) as client:
        client.h2.initiate_connection()
        for byte in client.h2.data_to_send():
            client.sock.sendall(bytes([byte]))
        assert client.get().text == "Hello, world!"


# The life of the server


class Streams(threading.Thread):
    """A client that keeps some streams under way until it is told to stop.

    It does what RFC 9113 tells it: after a GOAWAY it begins no further stream, waits for those that the server took,
    and asks again for the others (section 6.8) on a new connection.
    """

    def __init__(self, server: Server, authority: Authority) -> None:
        super().__init__(daemon=True)
        self.server, self.authority, self.ending = server, authority, threading.Event()
        self.answered = self.connections = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Ask, one connection after another."""
        try:
            while not self.ending.is_set():
                self._connection()
        except BaseException as failure:
            self.failure = failure

    def _connection(self) -> None:
        self.connections += 1
        with h2(self.server, self.authority) as client:
            while not self.ending.is_set() and not client.goaways:
                for number in [client.begin() for _ in range(4)]:
                    if not self._is_refused(client, number):
                        assert client.wait(number).text == "Hello, world!"
                        self.answered += 1

    @staticmethod
    def _is_refused(client: Http2, number: int) -> bool:
        """Whether the server has said that it did not take this stream, and will not."""
        response = client.streams[number]
        while not response.ended:
            if client.goaways and number > client.goaways[-1]:
                return True
            assert client.read(), f"the connection ended within stream {number}: {client.goaways}"
        return False


@pytest.mark.parametrize("of_life", ["sync", "gthread", "asyncio"])
def test_a_reload_loses_no_stream(serve: Serve, authority: Authority, pair: Pair, of_life: str) -> None:
    server = serve(*WORKERS[of_life], *pair.options, "-w", "2", trust=authority.context())
    before = server.workers()
    clients = [Streams(server, authority) for _ in range(3)]
    for client in clients:
        client.start()
        eventually(lambda client=client: client.answered or client.failure)
    for _ in range(2):
        server.signal(SIGHUP)
        before = server.wait_replaced(before, 2)
        answered = [client.answered for client in clients]
        eventually(
            lambda answered=answered: all(
                client.failure or client.answered > had + 20 for client, had in zip(clients, answered, strict=True)
            ),
        )
    for client in clients:
        client.ending.set()
    for client in clients:
        client.join(20)
    assert [client.failure for client in clients] == [None] * 3
    assert all(client.connections > 1 for client in clients)
