"""Files that the application names are sent by the server: with ranges and conditions, and none from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Serve, Server
from harness.http2 import connect

CLASSES = {
    "sync": ("downloads:wsgi", "-k", "sync"),
    "gthread": ("downloads:wsgi", "-k", "gthread", "--threads", "2"),
    "gevent": ("downloads:wsgi", "-k", "gevent"),
    "asgi": ("downloads:asgi", "-k", "asgi"),
}
BIG = bytes(range(256)) * 2000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("downloads")
    root = folder / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"0123456789")
    (root / "sub" / "a b.bin").write_bytes(BIG)
    (root / ".hidden").write_text("hidden")
    (folder / "secret").write_text("secret")
    (root / "out").symlink_to("../secret")
    (root / "up").symlink_to("..")
    return folder


@pytest.fixture(params=CLASSES, scope="module")
def server(serve_module: Serve, folder: Path, request: pytest.FixtureRequest) -> Server:
    if request.param == "gevent":
        pytest.importorskip("gevent", reason="gevent is not installed")
    return serve_module(
        *CLASSES[request.param],
        "--sendfile-root",
        f"/protected/={folder / 'root'}",
        "--http2-cleartext",
        "both",
        "--compress",
        env={"DOWNLOADS": str(folder / "root")},
        probe="/plain/",
    )


@pytest.mark.parametrize("target", ["/url//protected/a.txt", "/path/a.txt"])
def test_a_named_file_is_sent_in_place_of_the_body(server: Server, target: str) -> None:
    with server.connect() as wire:
        reply = wire.get(target)
        assert (reply.status, reply.body) == (200, b"0123456789")
        assert reply.header("Content-Type") == "application/x-own"
        assert reply.header("Content-Disposition") == "attachment"
        assert reply.header("Content-Length") == "10"
        etag = reply.header("ETag")
        assert etag and etag != '"own"' and reply.header("Last-Modified")
        assert reply.header("X-Sendfile") is None and reply.header("X-Accel-Redirect") is None
        # The connection goes on, and so do those that name no file.
        assert wire.get("/plain/").body == b"body"
        assert wire.request(target, method="HEAD").reply(to="HEAD").header("Content-Length") == "10"

        reply = wire.get(target, fields=[("Range", "bytes=2-4")])
        assert (reply.status, reply.body) == (206, b"234")
        assert reply.header("Content-Range") == "bytes 2-4/10"
        assert reply.header("Content-Disposition") == "attachment"
        assert wire.get(target, fields=[("Range", "bytes=10-")]).status == 416
        reply = wire.get(target, fields=[("Range", "bytes=0-1,4-5")])
        assert reply.status == 206 and (reply.header("Content-Type") or "").startswith("multipart/byteranges")
        assert wire.get(target, fields=[("If-None-Match", etag)]).status == 304
        assert wire.get(target, fields=[("If-Match", '"other"')]).status == 412


def test_a_long_file_arrives_whole_by_either_protocol(server: Server) -> None:
    target = "/url//protected/sub/a%2520b.bin"
    with server.connect() as wire:
        assert wire.get(target).body == BIG
    assert isinstance(server.address, tuple)
    with connect(*server.address[:2]) as client:
        response = client.get(target)
        assert (response.status, response.body) == (200, BIG)
        assert client.get("/path/sub/a%20b.bin", fields=[("range", "bytes=-5")]).body == BIG[-5:]


@pytest.mark.parametrize(
    "target",
    [
        "/url//protected/missing",
        "/url//protected/sub",
        "/url//protected/",
        "/url//protected/../secret",
        "/url//protected/%252e%252e/secret",
        "/url//protected/sub%252fa",
        "/url//protected/out",
        "/url//protected/up/secret",
        "/url//other/a.txt",
        "/path/../secret",
        "/path/sub/../../secret",
        "/path/out",
        "/path//etc/passwd",
    ],
)
def test_nothing_else_is_sent(server: Server, target: str) -> None:
    with server.connect() as wire:
        reply = wire.get(target)
        assert (reply.status, b"secret" in reply.body, b"root:" in reply.body) == (404, False, False)
        assert wire.get("/plain/").body == b"body"
    server.wait_log("which is no file below a sendfile_root")


def test_the_status_is_the_applications(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/forbidden/x", fields=[("Range", "bytes=0-1")])
        assert (reply.status, reply.body) == (403, b"0123456789")
        assert reply.header("Content-Type") == "text/plain; charset=utf-8"
        reply = wire.request("/url//protected/.hidden", method="POST", body=b"x").reply()
        assert (reply.status, reply.body) == (200, b"hidden")


def test_clients_cannot_ask_for_the_prefix(serve: Serve, folder: Path) -> None:
    server = serve("lab", "-k", "sync", "--sendfile-root", f"/protected/={folder / 'root'}")
    with server.connect() as wire:
        assert b"0123456789" not in wire.get("/protected/a.txt").body


def test_without_the_setting_the_fields_are_for_a_proxy(serve: Serve) -> None:
    server = serve("downloads:wsgi", "-k", "sync", probe="/plain/")
    with server.connect() as wire:
        reply = wire.get("/url//protected/a.txt")
        assert (reply.body, reply.header("X-Accel-Redirect")) == (b"body", "/protected/a.txt")
