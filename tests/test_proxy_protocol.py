"""Behind a load balancer that speaks the PROXY protocol, the client is the real one, and nothing but HTTP is HTTP."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import Serve, Server, Wire, better, eventually, free_port, parity
from harness.wire import head

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
GET = head("/environ")

HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")

CLASSES = {
    "sync": ("lab", "-k", "sync"),
    "gthread": ("lab", "-k", "gthread", "--threads", "4"),
    "asyncio": ("asgi_lab", "-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("asgi_lab", "-k", "asgi", "--asgi-loop", "uvloop"),
}


def vector(kind: int, value: bytes) -> bytes:
    return struct.pack(">BH", kind, len(value)) + value


def v2(*vectors: bytes, command: int = 0x21, family: int = 0x11, ends: bytes | None = None) -> bytes:
    if ends is None:
        ends = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack(">HH", 56324, 443)
    block = ends + b"".join(vectors)
    return SIGNATURE + struct.pack(">BBH", command, family, len(block)) + block


TLS = vector(
    0x20,
    struct.pack(">BI", 7, 0)
    + vector(0x21, b"TLSv1.3")
    + vector(0x23, b"TLS_AES_128_GCM_SHA256")
    + vector(0x22, b"anna"),
)


def asked(wire: Wire) -> dict[str, Any]:
    """What the application is told of the request that comes next."""
    return wire.reply().json()


def environ(server: Server, opening: bytes) -> dict[str, Any]:
    with server.connect() as wire:
        return asked(wire.send(opening + GET))


def client(told: dict[str, Any]) -> list[object]:
    """The client, out of an environ or of a scope."""
    if "client" in told:
        return told["client"][1:]
    return [told["REMOTE_ADDR"], int(told["REMOTE_PORT"])]


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module("lab", "--proxy-protocol", "--threads", "4")


@parity
@pytest.mark.parametrize("opening", [V1, v2()], ids=["v1", "v2"])
def test_the_client_is_the_one_of_the_header(server: Server, opening: bytes) -> None:
    with server.connect() as wire:
        told = asked(wire.send(opening + GET))
        protocol = {key: told[key] for key in ("PROXY_PROTOCOL", "PROXY_ADDR", "PROXY_PORT")}
        assert protocol == {"PROXY_PROTOCOL": "TCP4", "PROXY_ADDR": "198.51.100.1", "PROXY_PORT": "443"}
        assert (told["REMOTE_ADDR"], told["REMOTE_PORT"]) == ("192.0.2.7", "56324")


@pytest.mark.parametrize("opening", [V1, v2()], ids=["v1", "v2"])
@pytest.mark.parametrize("worker", list(CLASSES))
def test_every_worker_class_knows_it_for_the_whole_connection(serve: Serve, worker: str, opening: bytes) -> None:
    if worker == "uvloop":
        pytest.importorskip("uvloop")
    app, *options = CLASSES[worker]
    path = "/environ" if app == "lab" else "/dump"
    server = serve(app, "--proxy-protocol", *options)
    with server.connect() as wire:
        wire.send_bytewise(opening)
        for _ in range(3):
            assert client(asked(wire.request(path))) == ["192.0.2.7", 56324]


def test_a_scope_has_an_extension(serve: Serve) -> None:
    server = serve("asgi_lab", "--proxy-protocol", "-k", "asgi")
    with server.connect() as wire:
        scope = asked(wire.send(v2(vector(2, b"shop.example"), TLS)).request("/dump"))
    assert scope["scheme"] == "https"
    assert scope["extensions"]["proxy_protocol"] == {
        "protocol": "TCP4",
        "server": ["tuple", "198.51.100.1", 443],
        "authority": "shop.example",
        "tls": {
            "version": "TLSv1.3",
            "cipher": "TLS_AES_128_GCM_SHA256",
            "client_name": "anna",
            "client_verify": "SUCCESS",
        },
    }


def test_what_is_told_of_tls_is_in_the_environ(server: Server) -> None:
    told = environ(server, v2(vector(2, b"shop.example"), TLS))
    assert told["wsgi.url_scheme"] == "https"
    assert told["PROXY_AUTHORITY"] == "shop.example"
    names = ("SSL_PROTOCOL", "SSL_CIPHER", "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN_CN")
    assert [told[name] for name in names] == ["TLSv1.3", "TLS_AES_128_GCM_SHA256", "SUCCESS", "anna"]


def test_nothing_of_one_connection_is_told_of_the_next(server: Server) -> None:
    environ(server, v2(vector(2, b"shop.example"), TLS))
    told = environ(server, b"")
    assert told["REMOTE_ADDR"] == "127.0.0.1" and told["wsgi.url_scheme"] == "http"
    assert not [name for name in told if name.startswith(("PROXY_", "SSL_"))]


@better
@pytest.mark.parametrize(
    ("opening", "protocol"),
    [(b"PROXY UNKNOWN\r\n", "UNKNOWN"), (v2(command=0x20, family=0, ends=b""), "LOCAL")],
    ids=["unknown", "local"],
)
def test_without_a_client_the_connection_has_its_own(server: Server, opening: bytes, protocol: str) -> None:
    told = environ(server, opening)
    assert (told["REMOTE_ADDR"], told["PROXY_PROTOCOL"]) == ("127.0.0.1", protocol)
    assert "PROXY_ADDR" not in told


def test_an_ipv6_client(server: Server) -> None:
    told = environ(server, b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n")
    assert (told["REMOTE_ADDR"], told["PROXY_ADDR"]) == ("2001:db8::1", "2001:db8::2")


@parity
def test_without_a_header_it_is_plain_http(server: Server) -> None:
    assert environ(server, b"")["REMOTE_ADDR"] == "127.0.0.1"


MALFORMED = {
    "port": V1.replace(b"443", b"65536"),
    "address": V1.replace(b"192.0.2.7", b"::1"),
    "family": V1.replace(b"TCP4", b"TCP5"),
    "bare lf": V1.replace(b"\r\n", b"\n"),
    "long": b"PROXY TCP4 " + b"1" * 200,
    "v2 family": v2(family=0x44),
    "v2 version": SIGNATURE + b"\x11\x11\0\0",
    "v2 vector": v2(b"\2\0\5abc"),
}


@pytest.mark.parametrize("opening", MALFORMED.values(), ids=list(MALFORMED))
@pytest.mark.parametrize("worker", ["sync", "asyncio"])
def test_a_malformed_header_is_answered_with_400_and_closed(serve_module: Serve, worker: str, opening: bytes) -> None:
    """The request that is smuggled behind it is not served: there is one answer."""
    app, *options = CLASSES[worker]
    server = _shared(serve_module, app, *options)
    with server.connect() as wire:
        reply = wire.send(opening + b"\r\n" + head("/echo")).reply()
        assert (reply.status, reply.keeps_alive) == (400, False)
        assert b"PROXY" in reply.body
        wire.assert_closed()


_servers: dict[tuple[str, ...], Server] = {}


def _shared(serve: Serve, app: str, *options: str) -> Server:
    key = (str(serve.folder), app, *options)
    if key not in _servers:
        _servers[key] = serve(app, "--proxy-protocol", *options)
    return _servers[key]


@pytest.mark.parametrize(("mode", "other"), [("v1", v2()), ("v2", V1)])
def test_the_other_version_is_refused(serve: Serve, mode: str, other: bytes) -> None:
    server = serve("lab", "--proxy-protocol", mode)
    with server.connect() as wire:
        assert wire.send(other + GET).reply().status == 400
        wire.assert_closed()
    assert environ(server, V1 if mode == "v1" else v2())["REMOTE_ADDR"] == "192.0.2.7"


@pytest.mark.parametrize("opening", [V1, v2()], ids=["v1", "v2"])
def test_a_partial_header_is_answered_when_it_ends_or_is_late(serve: Serve, opening: bytes) -> None:
    layout = "%(h)s %(s)s %(r)s"
    server = serve(
        "lab", "--proxy-protocol", "--header-timeout", "1", "--access-logfile", "-", "--access-logformat", layout
    )
    for cut in (3, len(opening) - 1):
        with server.connect() as ended, server.connect() as late, server.connect() as other:
            late.send(opening[:cut])
            assert ended.send(opening[:cut]).half_close().reply().status == 400
            ended.assert_closed()
            assert client(asked(other.send(opening + GET))) == ["192.0.2.7", 56324]
            reply = late.reply()
            assert reply.status == 400 and b"in time" in reply.body
            late.assert_closed()
    server.wait_log(r"^127.0.0.1 400 ", times=4)
    server.wait_log(r"^192.0.2.7 200 GET /environ HTTP/1.1", times=2)


def test_a_client_that_sends_nothing_is_closed_without_an_answer(serve: Serve) -> None:
    server = serve("lab", "--proxy-protocol", "--header-timeout", "1")
    with server.connect() as wire:
        wire.assert_closed()


@parity
def test_peers_that_may_not_send_it_get_403(serve: Serve) -> None:
    server = serve("lab", "--proxy-protocol", "--proxy-allow-from", "10.0.0.0/8")
    with server.connect() as wire:
        assert wire.send(V1 + GET).reply().status == 403
        wire.assert_closed()
    assert environ(server, b"")["REMOTE_ADDR"] == "127.0.0.1"


def test_networks_may_send_it(serve: Serve) -> None:
    server = serve("lab", "--proxy-protocol", "--proxy-allow-from", "10.0.0.0/8,127.0.0.0/8")
    assert environ(server, V1)["REMOTE_ADDR"] == "192.0.2.7"


@pytest.mark.parametrize(("allowed", "status"), [(None, 200), ("127.0.0.1", 403), ("127.0.0.1,unix", 200), ("*", 200)])
def test_unix_sockets_have_headers_too(serve: Serve, tmp_path: Path, allowed: str | None, status: int) -> None:
    options = () if allowed is None else ("--proxy-allow-from", allowed)
    server = serve("lab", "--proxy-protocol", *options, bind=f"unix:{tmp_path / 'sock'}")
    with server.connect() as wire:
        reply = wire.send(v2() + GET).reply()
        assert reply.status == status
        if status == 200:
            assert reply.json()["REMOTE_ADDR"] == "192.0.2.7"


def test_its_client_is_not_believed_as_the_balancer_is(server: Server) -> None:
    """A balancer of TCP passes the client's own fields on."""
    forged = head("/environ", fields=[("X-Forwarded-Proto", "https")])
    with server.connect() as wire:
        assert asked(wire.send(V1 + forged))["wsgi.url_scheme"] == "http"
    with server.connect() as wire:
        assert asked(wire.send(V1.replace(b"192.0.2.7", b"127.0.0.1") + forged))["wsgi.url_scheme"] == "https"


def test_the_client_stays_when_another_worker_takes_the_connection(serve: Serve) -> None:
    """One of two workers is busy: the kept connections that it has go to the other."""
    server = serve("lab", "--proxy-protocol", "-w", "2", "-k", "sync")
    serve.occupy(server, 2)
    with ExitStack() as stack:
        kept = [stack.enter_context(server.connect()) for _ in range(12)]
        pids = []
        for number, wire in enumerate(kept):
            opening = (
                V1.replace(b"56324", b"%d" % (1000 + number)) if number % 2 else v2(vector(2, b"shop.example"), TLS)
            )
            pids.append(wire.send(opening).get("/pid").text)
        held = stack.enter_context(server.connect()).request("/gate/held")
        serve.gates.wait_entered("held")
        moved = 0
        for number, wire in enumerate(kept):
            told = asked(wire.request("/environ"))
            if number % 2:
                assert client(told) == ["192.0.2.7", 1000 + number]
            else:
                assert told["PROXY_AUTHORITY"] == "shop.example" and told["SSL_CLIENT_S_DN_CN"] == "anna"
                assert client(told) == ["192.0.2.7", 56324] and told["wsgi.url_scheme"] == "https"
            moved += wire.get("/pid").text != pids[number]
        assert moved or len(set(pids)) == 1, "a worker is busy, and its connections have stayed with it"
        serve.gates.open("held")
        assert held.reply().status == 200


def test_a_request_hook_knows_it(serve: Serve, write: Callable[[str, str], Path]) -> None:
    conf = write(
        "conf.py",
        """
        def pre_request(worker, req):
            worker.log.info("SEEN %r %r %r", req.remote_addr, req.peer_addr[0], req.proxy_protocol_info)
        """,
    )
    server = serve("lab", "--proxy-protocol", "-c", str(conf))
    environ(server, V1)
    info = (
        "{'proxy_protocol': 'TCP4', 'client_addr': '192.0.2.7', 'client_port': 56324, "
        "'proxy_addr': '198.51.100.1', 'proxy_port': 443}"
    )
    found = server.wait_log(r"SEEN \('192.0.2.7', 56324\) '127.0.0.1' (.*)")
    assert info in [match[1] for match in found]


# Real balancers


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Start a program that listens at a free port with this configuration, and give the port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(conf: str, *command: str) -> int:
        port = free_port()
        (tmp_path / "balancer.conf").write_text(conf.replace("PORT", str(port)))
        process = subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=(tmp_path / "balancer.log").open("wb"))
        started.append(process)

        def listens() -> bool:
            assert process.poll() is None, (tmp_path / "balancer.log").read_text()
            try:
                Wire(("127.0.0.1", port)).close()
            except OSError:
                return False
            return True

        eventually(listens)
        return port

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


def bound(server: Server) -> str:
    return server.url.removeprefix("http://").rstrip("/")


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
@pytest.mark.parametrize("worker", list(CLASSES))
def test_haproxy(serve: Serve, tmp_path: Path, balancer: Callable[..., int], send: str, worker: str) -> None:
    if worker == "uvloop":
        pytest.importorskip("uvloop")
    app, *options = CLASSES[worker]
    path = "/environ" if app == "lab" else "/dump"
    server = serve(app, "--proxy-protocol", *options)
    assert HAPROXY is not None
    conf = (
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 9s\n timeout server 9s\n"
        "frontend front\n bind 127.0.0.1:PORT\n unique-id-format %ci-%ts\n default_backend back\n"
        # The check speaks the protocol too, as LOCAL.
        f"backend back\n server one {bound(server)} check inter 200ms {send}\n"
    )
    port = balancer(conf, HAPROXY, "-f", str(tmp_path / "balancer.conf"))
    with Wire(("127.0.0.1", port)) as wire:
        own = list(wire.socket.getsockname())
        for _ in range(2):
            assert client(asked(wire.request(path))) == own
        assert wire.request("/echo", method="POST", body=b"x" * 100_000).reply().body == b"x" * 100_000


@pytest.mark.skipif(NGINX is None or not STREAM.exists(), reason="nginx has no stream module here")
def test_nginx_stream(serve: Serve, tmp_path: Path, balancer: Callable[..., int]) -> None:
    server = serve("lab", "--proxy-protocol", "v1")
    user = "user root;" if os.geteuid() == 0 else ""
    conf = (
        f"load_module {STREAM}; {user} daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n"
        f"stream {{ server {{ listen 127.0.0.1:PORT; proxy_protocol on; proxy_pass {bound(server)}; }} }}\n"
    )
    assert NGINX is not None
    port = balancer(conf, NGINX, "-c", str(tmp_path / "balancer.conf"), "-e", f"{tmp_path}/error.log")
    with Wire(("127.0.0.1", port)) as wire:
        own = list(wire.socket.getsockname())
        assert client(asked(wire.request("/environ"))) == own
