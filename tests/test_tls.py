"""TLS: every worker class serves over it what it serves without it."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path
from signal import SIGHUP, SIGTERM

import pytest
from harness import KINDS, Authority, Load, Pair, Serve, Server, eventually, needs_openssl, processes
from harness.certificates import openssl
from harness.frames import TEXT, close_frame, frame, read_frame, upgrade
from harness.wire import head

pytestmark = needs_openssl

CLASSES = {
    **{name: ("lab", *options) for name, options in KINDS.items()},
    "asyncio": ("asgi_lab", "-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("asgi_lab", "-k", "asgi", "--asgi-loop", "uvloop"),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture(params=CLASSES, scope="module")
def of_class(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def server(serve_module: Serve, authority: Authority, pair: Pair, of_class: str) -> Server:
    """One worker of each class."""
    return serve_module(*CLASSES[of_class], *pair.options, "-w", "1", trust=authority.context())


# What is served


def test_a_connection_is_kept_and_ends_with_a_goodbye(server: Server) -> None:
    with server.connect() as wire:
        assert [wire.get("/").text for _ in range(3)] == ["Hello, world!"] * 3
        assert wire.get("/", fields=[("Connection", "close")]).text == "Hello, world!"
        assert wire.rest() == b"", "an end without close_notify would have raised"


def test_the_application_learns_the_scheme(server: Server, of_class: str) -> None:
    if of_class in KINDS:
        seen = server.get("/environ").json()
        assert (seen["wsgi.url_scheme"], seen["SERVER_PORT"]) == ("https", str(server.address[1]))
    else:
        assert server.get("/dump").json()["scheme"] == "https"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_is_served(server: Server, authority: Authority, version: str) -> None:
    target = f"https://localhost:{server.address[1]}/"
    words = ["curl", "--silent", "--show-error", "--cacert", authority.certfile, "--http1.1"]
    words += [f"--tlsv{version}", "--tls-max", version, "-w", " %{http_version}", target, target]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "Hello, world! 1.1" * 2


def test_an_upload_arrives_whole(server: Server) -> None:
    body = os.urandom(3_000_000)
    assert server.post("/echo", body).body == body


def test_a_download_arrives_whole(server: Server, of_class: str) -> None:
    size = 20 * 1024 * 1024
    target = f"/pieces/{size}" if of_class in KINDS else f"/big/{size}"
    reply = server.get(target)
    assert reply.complete and len(reply.body) == size and len(set(reply.body)) == 1


def test_a_request_that_is_cut_into_bytes_is_read(server: Server) -> None:
    with server.connect() as wire:
        assert wire.send_bytewise(head("/")).reply().text == "Hello, world!"


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/") * 3 + head("/", fields=[("Connection", "close")]))
        assert [wire.reply().text for _ in range(4)] == ["Hello, world!"] * 4
        assert wire.rest() == b""


def test_a_client_that_has_ended_its_side_gets_its_answer(server: Server) -> None:
    with server.connect() as wire:
        assert wire.request("/").half_close().reply().text == "Hello, world!"


def test_a_small_window_gets_everything(server: Server, of_class: str) -> None:
    """The client takes little at a time, so what is encrypted has to wait for it."""
    size = 4 * 1024 * 1024
    target = f"/pieces/{size}" if of_class in KINDS else f"/big/{size}"
    with server.connect(receive_buffer=4096) as wire:
        reply = wire.get(target)
        assert len(reply.body) == size
        assert wire.get("/").text == "Hello, world!"


def test_a_client_that_reads_nothing_costs_little_memory(server: Server, of_class: str) -> None:
    size = 200 * 1024 * 1024
    target = f"/pieces/{size}" if of_class in KINDS else f"/big/{size}"
    [worker] = server.workers()
    server.get("/")
    before = processes.memory_kib(worker)["Rss"]
    with server.connect(receive_buffer=4096) as wire:
        wire.request(target)
        for _ in range(20):
            # While that response waits, other clients are served.
            assert server.get("/").status == 200
        assert processes.memory_kib(worker)["Rss"] - before < 30 * 1024
        wire.reset()


def test_a_client_without_tls_is_told(server: Server) -> None:
    with server.connect_plain() as wire:
        reply = wire.get("/")
        assert reply.status == 400 and "HTTPS" in reply.text
        wire.assert_closed()
    assert server.get("/").status == 200


def test_bytes_that_are_no_tls_close_the_connection(server: Server) -> None:
    with server.connect_plain() as wire:
        wire.send(b"\x16\x03\x01\x00\x05hello" + b"\0" * 100)
        assert wire.rest() == b"", "rustls has no alert for that"
    with server.connect_plain() as wire:
        wire.send(b"\x16\x03\x01\x00\x05\x01\0\0\1\xff" + b"\0" * 100)
        assert wire.rest()[:1] == b"\x15", "an alert"
    assert server.get("/").status == 200


def test_damaged_records_end_the_connection(server: Server) -> None:
    with server.connect() as wire:
        wire.get("/")
        os.write(wire.socket.fileno(), b"\x17\x03\x03\x00\x20" + b"x" * 32)
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            wire.rest()
    assert server.get("/").status == 200


def test_old_versions_are_refused(server: Server) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.minimum_version = ssl.TLSVersion.TLSv1
    with server.connect_plain() as wire, pytest.raises((ssl.SSLError, ConnectionResetError)):
        wire.secure(context)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_websockets(serve: Serve, authority: Authority, pair: Pair, loop: str) -> None:
    server = serve("ws_lab:application", "-k", "asgi", "--asgi-loop", loop, *pair.options, trust=authority.context())
    with server.connect() as wire:
        upgrade(wire, "/echo/tls")
        for text in (b"a", b"b" * 70_000):
            wire.send(frame(TEXT, text))
            assert read_frame(wire).payload == text
        wire.send(close_frame(1000))
        read_frame(wire)
        assert wire.rest() == b""


def test_files(serve: Serve, authority: Authority, pair: Pair, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    path = tmp_path / "content"
    path.write_bytes(content)
    server = serve("responses", *pair.options, trust=authority.context())
    with server.connect() as wire:
        for query, expected in (("", content), ("&offset=5&length=700", content[5:705])):
            assert wire.get(f"/file?path={path}{query}").body == expected
        reply = wire.get(f"/file?path={path}&offset=2999990&length=700")
        assert not reply.complete, "a file that is shorter than was promised"


def test_a_cut_answer_does_not_look_whole(serve: Serve, authority: Authority, pair: Pair) -> None:
    """HTTP/1.0 has nothing but the end of the connection to say where a body ends."""
    server = serve("lab", *pair.options, trust=authority.context())
    with server.connect() as wire:
        wire.send(b"GET /late/1000 HTTP/1.0\r\n\r\n")
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            wire.rest()


def test_its_socket_cannot_be_taken_over(serve: Serve, authority: Authority, pair: Pair) -> None:
    server = serve("sockets", *pair.options, trust=authority.context())
    assert server.get("/look/names").status == 200
    assert server.get("/take/sent").status == 500
    server.wait_log("the socket of a TLS connection cannot be taken over")


# Handshakes


def test_a_handshake_has_its_own_time(serve: Serve, authority: Authority, pair: Pair) -> None:
    server = serve("lab", *pair.options, "--tls-handshake-timeout", "1", trust=authority.context())
    with server.connect_plain() as silent, server.connect_plain() as begun:
        begun.send(b"\x16\x03\x01\x02\x00\x01")
        assert silent.rest() == b"" and begun.rest() == b""
    with server.connect() as wire:
        assert wire.get().status == 200


def test_unfinished_handshakes_hold_nobody_up(serve: Serve, authority: Authority, pair: Pair) -> None:
    server = serve("lab", "-w", "1", *pair.options, trust=authority.context())
    wires = [server.connect_plain().send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") for _ in range(100)]
    with Load(server, clients=2) as load:
        eventually(lambda: load.total > 50)
    assert not load.failures and load.longest_s < 2
    for wire in wires:
        wire.close()


# The life of the server


@pytest.mark.parametrize("of_life", ["sync", "gthread", "asyncio"])
def test_a_reload_loses_no_request(serve: Serve, authority: Authority, pair: Pair, of_life: str) -> None:
    server = serve(*CLASSES[of_life], *pair.options, "-w", "2", trust=authority.context())
    before = server.workers()
    with Load(server, clients=4) as load, Load(server, clients=2, keep_alive=False) as fresh:
        server.signal(SIGHUP).wait_replaced(before, 2)
        total = load.total
        eventually(lambda: load.total > total + 20)
    assert not load.failures and not fresh.failures


def test_an_idle_connection_is_closed_with_a_goodbye(serve: Serve, authority: Authority, pair: Pair) -> None:
    """Its keys cannot travel to another worker."""
    server = serve("lab", *pair.options, "-w", "1", trust=authority.context())
    with server.connect() as wire:
        wire.get()
        server.signal(SIGHUP)
        assert wire.rest() == b""


def test_a_request_under_way_is_answered_at_the_end(serve: Serve, authority: Authority, pair: Pair) -> None:
    server = serve("lab", *pair.options, trust=authority.context())
    with server.connect() as wire:
        wire.request("/gate/last")
        serve.gates.wait_entered("last")
        server.signal(SIGTERM)
        server.wait_log("Handling signal: term")
        serve.gates.open("last")
        reply = wire.reply()
        assert (reply.status, reply.keeps_alive) == (200, False)
        assert wire.rest() == b""
    assert server.wait_exit() == 0


def test_kept_connections_do_not_travel(serve: Serve, authority: Authority, pair: Pair) -> None:
    """With a worker that is busy, a plain connection would go to the other one."""
    server = serve("lab", "-w", "2", *pair.options, trust=authority.context())
    serve.occupy(server, 2)
    wires = [server.connect() for _ in range(6)]
    before = [wire.get("/pid").text for wire in wires]
    with server.connect() as busy:
        busy.request("/gate/busy")
        serve.gates.wait_entered("busy")
        for wire in wires:
            wire.request("/pid")
        serve.gates.open("busy")
        assert [wire.reply().text for wire in wires] == before
    for wire in wires:
        wire.close()


# Files of certificates


def test_the_log_says_https(server: Server) -> None:
    server.wait_log(rf"Listening at: https://127\.0\.0\.1:{server.address[1]}")


def test_the_key_may_be_in_the_file_of_the_certificate(
    serve: Serve, authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(pair.keyfile.read_bytes() + pair.certfile.read_bytes())
    assert serve("lab", "--certfile", str(both), trust=authority.context()).get().status == 200


@pytest.mark.parametrize("mode", [[], ["--check-config"]], ids=["start", "check"])
def test_files_that_do_not_fit_are_refused(
    serve: Serve, authority: Authority, pair: Pair, tmp_path: Path, mode: list[str]
) -> None:
    other, empty = authority.issue("other"), tmp_path / "empty.pem"
    empty.write_text("nothing\n")

    def refused(*options: str | Path) -> str:
        refusal = serve.refused("lab", *mode, *map(str, options))
        assert refusal.code != 0
        return refusal.text

    said = refused("--certfile", pair.certfile, "--keyfile", other.keyfile)
    assert "--keyfile" in said and "the key does not belong to the certificate" in said
    said = refused("--certfile", tmp_path / "none.pem", "--keyfile", pair.keyfile)
    assert "--certfile" in said and "No such file" in said
    assert "no certificate" in refused("--certfile", empty, "--keyfile", pair.keyfile)
    assert "no private key" in refused("--certfile", pair.certfile, "--keyfile", empty)
    assert "certfile is not set" in refused("--keyfile", pair.keyfile)
    for kind in (["pkcs8", "-topk8"], ["ec", "-aes128"]):
        encrypted = tmp_path / f"{kind[0]}.key"
        openssl(*kind, "-in", pair.keyfile, "-passout", "pass:secret", "-out", encrypted)
        said = refused("--certfile", pair.certfile, "--keyfile", encrypted)
        assert "the key is encrypted" in said and "openssl pkey" in said


def test_a_reload_with_a_wrong_pair_changes_nothing(
    serve: Serve, authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    certfile, keyfile = tmp_path / "a.pem", tmp_path / "a.key"
    shutil.copy(pair.certfile, certfile), shutil.copy(pair.keyfile, keyfile)
    server = serve("lab", "--certfile", str(certfile), "--keyfile", str(keyfile), trust=authority.context())
    workers = server.workers()
    shutil.copy(authority.issue("another").keyfile, keyfile)
    server.signal(SIGHUP).wait_log("the key does not belong to the certificate")
    assert server.get().status == 200 and server.workers() == workers
