"""Behind a front server that speaks the uwsgi protocol: raw packets, and nginx's `uwsgi_pass`."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Serve, Server, Wire, eventually, free_port
from websockets.sync.client import connect

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

CLASSES = {
    "sync": ("lab", "-k", "sync"),
    "gthread": ("lab", "-k", "gthread", "--threads", "4"),
    "asyncio": ("asgi_lab", "-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("asgi_lab", "-k", "asgi", "--asgi-loop", "uvloop"),
}


def packet(path: str = "/", *, method: str = "GET", modifier: int = 0, **more: str) -> bytes:
    variables = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": path,
        "PATH_INFO": path.partition("?")[0],
        "QUERY_STRING": path.partition("?")[2],
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "shop.example",
        **more,
    }
    texts = [text.encode() for pair in variables.items() for text in pair]
    block = b"".join(struct.pack("<H", len(text)) + text for text in texts)
    return struct.pack("<BHB", modifier, len(block), 0) + block


@pytest.fixture(scope="module", params=list(CLASSES))
def server(serve_module: Serve, request: pytest.FixtureRequest) -> Server:
    """Each worker class in turn."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    app, *options = CLASSES[request.param]
    return start(serve_module, app, *options)


def start(serve: Serve, app: str, *options: str, bind: str | None = "127.0.0.1") -> Server:
    server = serve(app, "--protocol", "uwsgi", *options, bind=bind, ready=False).wait_listening()
    with server.connect() as wire:
        assert wire.send(packet()).reply().status == 200
    return server


def test_requests_follow_each_other(server: Server) -> None:
    with server.connect() as wire:
        for body in (b"", b"abc", b"x" * 300_000, b""):
            length = {"CONTENT_LENGTH": str(len(body))}
            wire.send(packet("/echo", method="POST", **length) + body)
            assert wire.reply().body == body


def test_a_packet_may_come_byte_by_byte(server: Server) -> None:
    with server.connect() as wire:
        wire.send_bytewise(packet("/echo", method="POST", CONTENT_LENGTH="3") + b"abc")
        assert wire.reply().body == b"abc"


def test_a_body_without_length_ends_with_the_connection(server: Server) -> None:
    """Front servers read no chunks."""
    with server.connect() as wire:
        reply = wire.send(packet("/stream/3" if "asgi_lab" in server.command else "/pieces/100000")).reply()
        assert (reply.status, reply.header("Transfer-Encoding"), reply.keeps_alive) == (200, None, False)
        assert reply.body


def test_head_has_no_body(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.send(packet(method="HEAD")).reply(to="HEAD")
        assert reply.status == 200 and reply.header("Content-Length") == "13"
        assert wire.send(packet()).reply().body == b"Hello, world!"


def test_a_client_that_wants_the_end_gets_it(server: Server) -> None:
    with server.connect() as wire:
        assert wire.send(packet(HTTP_CONNECTION="close")).reply().status == 200
        wire.assert_closed()


MALFORMED = {
    "modifier": (packet(modifier=5), 501),
    "http": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "variable": (b"\0\5\0\0\xff\0abc", 400),
    "line break": (packet(HTTP_X="a\r\nb: c"), 400),
    "two lengths": (packet(CONTENT_LENGTH="+5"), 400),
    "long field": (packet(HTTP_X="x" * 9000), 431),
    "long line": (packet("/" + "x" * 5000), 414),
    "many fields": (packet(**{f"HTTP_X{number}": "" for number in range(100)}), 431),
}


@pytest.mark.parametrize(("sent", "status"), MALFORMED.values(), ids=list(MALFORMED))
def test_a_malformed_packet_is_answered_and_closed(server: Server, sent: bytes, status: int) -> None:
    with server.connect() as wire:
        assert wire.send(sent + packet()).reply().status == status
        wire.assert_closed()


def test_a_body_above_its_limit_is_413(serve: Serve) -> None:
    server = start(serve, "lab", "--limit-request-body", "1000")
    with server.connect() as wire:
        assert wire.send(packet("/echo", method="POST", CONTENT_LENGTH="1001")).reply().status == 413


def test_a_packet_that_does_not_end_is_408(serve: Serve) -> None:
    server = start(serve, "lab", "--header-timeout", "1")
    with server.connect() as wire:
        assert wire.send(packet()[:-1]).reply().status == 408
        wire.assert_closed()


def test_the_environ_is_what_the_front_server_says(serve: Serve) -> None:
    layout = "%(h)s %(r)s %(s)s"
    server = start(serve, "lab", "--access-logfile", "-", "--access-logformat", layout)
    told = {
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "5",
        "HTTPS": "on",
        "SCRIPT_NAME": "",
        "REMOTE_USER": "anna",
        "HTTP_X_A_B": "c",
        "CONTENT_TYPE": "text/plain",
        "DOCUMENT_ROOT": "/srv",
    }
    with server.connect() as wire:
        environ = wire.send(packet("/environ?a=%20b", **told)).reply().json()
        assert {name: environ[name] for name in told} == told
        assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/environ", "a=%20b")
        assert environ["wsgi.url_scheme"] == "https"
        assert environ["RAW_URI"] == environ["REQUEST_URI"] == "/environ?a=%20b"
        # Nothing of it is told of the next request.
        environ = wire.send(packet("/environ")).reply().json()
        assert environ["REMOTE_ADDR"] == "127.0.0.1" and environ["wsgi.url_scheme"] == "http"
        assert "REMOTE_USER" not in environ
    server.wait_log(r"^192.0.2.7 GET /environ\?a=%20b HTTP/1.1 200")


def test_the_scope_is_what_the_front_server_says(serve: Serve) -> None:
    server = start(serve, "asgi_lab", "-k", "asgi")
    told = {"REMOTE_ADDR": "2001:db8::7", "REMOTE_PORT": "5", "HTTPS": "on", "QUERY_STRING": "a=b"}
    with server.connect() as wire:
        scope = wire.send(packet("/dump", **told)).reply().json()
    assert scope["client"][1:] == ["2001:db8::7", 5]
    assert (scope["scheme"], scope["path"], scope["query_string"]) == ("https", "/dump", "b:a=b")


@pytest.mark.parametrize("path_info", ["/environ", "/app/environ"])
def test_a_mount_point_is_told(serve: Serve, path_info: str) -> None:
    """Also where the location of nginx gives the whole path as PATH_INFO."""
    server = start(serve, "lab")
    with server.connect() as wire:
        environ = wire.send(packet("/app/environ", SCRIPT_NAME="/app", PATH_INFO=path_info)).reply().json()
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/app", "/environ")


def test_fields_of_its_client_are_not_believed_as_the_front_server_is(serve: Serve) -> None:
    server = start(serve, "lab")
    for address, scheme in (("192.0.2.7", "http"), ("127.0.0.1", "https")):
        with server.connect() as wire:
            sent = packet("/environ", REMOTE_ADDR=address, HTTP_X_FORWARDED_PROTO="https")
            assert wire.send(sent).reply().json()["wsgi.url_scheme"] == scheme


@pytest.mark.parametrize(
    ("allowed", "status"), [("10.0.0.0/8", 403), ("127.0.0.0/8", 200), ("10.0.0.0/8,127.0.0.1", 200), ("*", 200)]
)
def test_peers_that_may_not_speak_it_get_403(serve: Serve, allowed: str, status: int) -> None:
    options = ("--protocol", "uwsgi", "--uwsgi-allow-from", allowed, "--access-logfile", "-")
    server = serve("lab", *options, ready=False).wait_listening()
    with server.connect() as wire:
        assert wire.send(packet(REMOTE_ADDR="192.0.2.7")).reply().status == status
    server.wait_log(r"^127.0.0.1 .* 403 " if status == 403 else r"^192.0.2.7 .* 200 ")


@pytest.mark.parametrize(("allowed", "status"), [((), 200), (("127.0.0.1",), 403), (("unix",), 200)])
def test_unix_peers(serve: Serve, tmp_path: Path, allowed: tuple[str, ...], status: int) -> None:
    options = ("--uwsgi-allow-from", *allowed) if allowed else ()
    bind = f"unix:{tmp_path / 'sock'}"
    server = serve("lab", "--protocol", "uwsgi", *options, bind=bind, ready=False).wait_listening()
    with server.connect() as wire:
        assert wire.send(packet()).reply().status == status


def test_another_word_is_refused(serve: Serve) -> None:
    refusal = serve.refused("lab", "--protocol", "fastcgi")
    assert "protocol" in refusal.text and "http or uwsgi" in refusal.text


# nginx

PARAMETERS = "\n".join(
    f"uwsgi_param {name} ${value};"
    for name, value in {
        "QUERY_STRING": "query_string",
        "REQUEST_METHOD": "request_method",
        "CONTENT_TYPE": "content_type",
        "CONTENT_LENGTH": "content_length",
        "REQUEST_URI": "request_uri",
        "PATH_INFO": "document_uri",
        "DOCUMENT_ROOT": "document_root",
        "SERVER_PROTOCOL": "server_protocol",
        "REMOTE_ADDR": "remote_addr",
        "REMOTE_PORT": "remote_port",
        "SERVER_PORT": "server_port",
        "SERVER_NAME": "server_name",
    }.items()
)


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Start nginx in front of a uwsgi server, and give its port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(upstream: str) -> int:
        port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"{user} daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/nginx.log; events {{}}\n"
            f"http {{ access_log off; {temporary} client_max_body_size 0; uwsgi_buffering off;\n"
            f"upstream app {{ server {upstream}; keepalive 4; }}\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{\n{PARAMETERS}\nuwsgi_pass app; }} }} }}\n"
        )
        assert NGINX is not None
        process = subprocess.Popen([NGINX, "-c", str(tmp_path / "nginx.conf"), "-e", f"{tmp_path}/nginx.log"])
        started.append(process)

        def listens() -> bool:
            assert process.poll() is None, (tmp_path / "nginx.log").read_text()
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


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("worker", list(CLASSES))
def test_nginx(serve: Serve, tmp_path: Path, front: Callable[[str], int], worker: str, unix: bool) -> None:
    if worker == "uvloop":
        pytest.importorskip("uvloop")
    app, *options = CLASSES[worker]
    socket = f"unix:{tmp_path / 'sock'}"
    server = start(serve, app, *options, bind=socket if unix else "127.0.0.1")
    port = front(socket if unix else server.url.removeprefix("http://").rstrip("/"))
    with Wire(("127.0.0.1", port)) as wire:
        for size in (0, 10, 1_000_000):
            assert wire.request("/echo", method="POST", body=b"x" * size).reply().body == b"x" * size
        assert wire.get("/").body == b"Hello, world!"
        head = wire.request("/", method="HEAD").reply(to="HEAD")
        assert head.status == 200 and head.header("Content-Length") == "13"
        chunked = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        assert wire.send(chunked).reply().body == b"abc"
        fields = [("Expect", "100-continue")]
        assert wire.request("/echo", method="POST", body=b"abc", fields=fields).reply().body == b"abc"
        streamed = wire.get("/pieces/200000" if app == "lab" else "/stream/3")
        assert streamed.complete and streamed.status == 200 and streamed.body
        assert wire.get("/error/x" if app == "lab" else "/early_error").status == 500
        path = "/environ" if app == "lab" else "/dump"
        told = wire.get(f"{path}?a=b", fields=[("X-A", "1")]).json()
        if app == "lab":
            assert told["REMOTE_PORT"] == str(wire.socket.getsockname()[1])
            assert told["HTTP_X_A"] == "1" and told["QUERY_STRING"] == "a=b"
        else:
            assert told["client"][1:] == list(wire.socket.getsockname())


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_a_websocket_passes_nginx(serve: Serve, front: Callable[[str], int], write) -> None:
    write(
        "echo.py",
        """
        async def app(scope, receive, send):
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200})
                await send({"type": "http.response.body"})
            if scope["type"] != "websocket":
                return
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({**message, "type": "websocket.send"})
        """,
    )
    options = ("--protocol", "uwsgi", "-k", "asgi")
    server = serve("echo:app", *options, cwd=serve.folder, ready=False).wait_listening()
    port = front(server.url.removeprefix("http://").rstrip("/"))
    with connect(f"ws://127.0.0.1:{port}/") as client:
        for message in ("hello", b"\x00\xff", "x" * 100_000):
            client.send(message)
            assert client.recv(10) == message
