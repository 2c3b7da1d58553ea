"""deploy/nginx.conf does what it says, in a real nginx: requests, uploads, WebSockets, the client's address."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import APPS, Serve, eventually, free_port
from harness.wire import Wire
from websockets.sync.client import connect

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONF = (Path(__file__).parent.parent / "deploy" / "nginx.conf").read_text()

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Start nginx with the file as it is, but for its address, its certificate and the path of the socket."""
    started: list[subprocess.Popen[bytes]] = []

    def start(socket: str) -> int:
        port = free_port()
        conf = CONF.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
        conf = re.sub(r"^ *ssl_certificate.*\n", "", conf, flags=re.MULTILINE)
        conf = conf.replace("/run/shop/web.sock", socket).replace("/srv/shop", str(tmp_path))
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"{user} daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/nginx.log; events {{}}\n"
            f"http {{ access_log off; {temporary}\n{conf}\n}}\n"
        )
        assert NGINX is not None
        process = subprocess.Popen([NGINX, "-c", str(tmp_path / "nginx.conf"), "-e", f"{tmp_path}/nginx.log"])
        started.append(process)

        def listens() -> bool:
            assert process.poll() is None, (tmp_path / "nginx.log").read_text()
            try:
                Wire(("127.0.0.1", port)).socket.close()
            except OSError:
                return False
            return True

        eventually(listens)
        return port

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


OPTIONS = ("--proxy-headers", "--socket-mode", "660")


@pytest.mark.parametrize("options", [(), ("--threads", "4")], ids=["sync", "gthread"])
def test_requests_and_uploads_pass(serve: Serve, front: Callable[[str], int], write, options: tuple[str, ...]) -> None:
    write(
        "shop.py",
        """
        import json

        def application(environ, start_response):
            body = environ["wsgi.input"].read()
            names = ("REMOTE_ADDR", "HTTP_HOST", "wsgi.url_scheme", "HTTP_CONNECTION", "HTTP_UPGRADE")
            said = json.dumps([len(body), *(environ.get(name) for name in names)]).encode()
            start_response("200 OK", [("Content-Length", str(len(said)))])
            return [said]
        """,
    )
    socket = f"{serve.folder}/web.sock"
    serve("shop", *OPTIONS, *options, cwd=serve.folder, bind=f"unix:{socket}")
    port = front(socket)
    with Wire(("127.0.0.1", port)) as wire:
        said = wire.request("/", method="POST", body=b"x" * 300_000).reply()
        assert said.json() == [300_000, "127.0.0.1", "test.example", "http", None, None]
        for _ in range(3):
            assert wire.get("/").json()[0] == 0


def test_websockets_pass(serve: Serve, front: Callable[[str], int], write) -> None:
    write(
        "shop.py",
        """
        async def app(scope, receive, send):
            if scope["type"] != "websocket":
                return
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": scope["client"][0]})
            while (message := await receive())["type"] == "websocket.receive":
                await send({**message, "type": "websocket.send"})
        """,
    )
    socket = f"{serve.folder}/web.sock"
    serve("shop:app", *OPTIONS, cwd=serve.folder, bind=f"unix:{socket}", ready=False).wait_listening()
    port = front(socket)
    with connect(f"ws://127.0.0.1:{port}/") as client:
        assert client.recv(10) == "127.0.0.1"
        for message in ("hello", b"\x00\xff", "x" * 100_000):
            client.send(message)
            assert client.recv(10) == message


def test_static_files_are_nginxs(serve: Serve, front: Callable[[str], int], write) -> None:
    write("static/a.css", "a {}")
    socket = f"{serve.folder}/web.sock"
    serve("lab", *OPTIONS, cwd=APPS, bind=f"unix:{socket}")
    port = front(socket)
    with Wire(("127.0.0.1", port)) as wire:
        assert wire.get("/static/a.css").text == "a {}"
        assert wire.get("/").text == "Hello, world!"
