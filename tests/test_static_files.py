"""Files are served before any Python runs, the same by every worker class, and none from outside of their directory."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import APPS, Serve, Server, Wire, eventually
from harness.vectors import read
from harness.wire import head

#: Worker classes, with an application that says `Hello, world!`.
CLASSES = {
    "sync": ["lab", "-k", "sync"],
    "gthread": ["lab", "-k", "gthread", "--threads", "2"],
    "asyncio": ["asgi_lab", "-k", "asgi", "--asgi-loop", "asyncio"],
    "uvloop": ["asgi_lab", "-k", "asgi", "--asgi-loop", "uvloop"],
}
BIG = bytes(range(256)) * 4000
MODIFIED = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory, with a secret beside it."""
    folder = tmp_path_factory.mktemp("files")
    root = folder / "root"
    for name in ("sub", "empty", ".git", ".well-known"):
        (root / name).mkdir(parents=True)
    (folder / "secret").write_text("secret")
    (root / "ten.txt").write_bytes(b"0123456789")
    (root / "app.js").write_text("let a = 1;\n" * 100)
    (root / "app.js.gz").write_bytes(gzip.compress(b"let a = 1;\n" * 100))
    (root / "app.3f2a9c1b.js").write_text("hashed")
    (root / "big.bin").write_bytes(BIG)
    (root / "sub" / "index.html").write_text("<p>index</p>")
    (root / "font.woff2").write_bytes(b"font")
    (root / "a b.txt").write_text("blank")
    (root / ".env").write_text("secret")
    (root / ".git" / "config").write_text("secret")
    (root / ".well-known" / "security.txt").write_text("Contact: x")
    (root / "within.txt").symlink_to("ten.txt")
    (root / "out.txt").symlink_to("../secret")
    (root / "up").symlink_to("..")
    os.mkfifo(root / "pipe")
    os.utime(root / "ten.txt", (MODIFIED, MODIFIED))
    return root


@pytest.fixture(params=CLASSES, scope="module")
def worker(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def server(serve_module: Serve, files: Path, worker: str) -> Server:
    return serve_module(*CLASSES[worker], "--static", f"/static/={files}", cwd=APPS)


def test_a_file_is_served_with_what_is_known_of_it(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/static/ten.txt")
        assert (reply.status, reply.body) == (200, b"0123456789")
        assert reply.header("Content-Type") == "text/plain; charset=utf-8"
        assert reply.header("Content-Length") == "10"
        assert reply.header("Last-Modified") == "Sun, 06 Nov 1994 08:49:37 GMT"
        assert reply.header("Accept-Ranges") == "bytes"
        assert reply.header("Cache-Control") == "public, max-age=60"
        assert re.fullmatch(r'"[0-9a-f.-]+"', reply.header("ETag") or "")
        assert reply.header("Vary") is None
        bare = wire.request("/static/ten.txt", method="HEAD").reply(to="HEAD")
        assert (bare.status, bare.body) == (200, b"")
        assert [field for field in bare.fields if field[0] != "Date"] == [
            field for field in reply.fields if field[0] != "Date"
        ]
        # The application is behind it, on the same connection.
        assert wire.get("/").text == "Hello, world!"


def test_a_long_file_arrives_whole(server: Server) -> None:
    with server.connect() as wire:
        for _ in range(2):
            assert wire.get("/static/big.bin").body == BIG
    with Wire(server.address, receive_buffer=4096) as slow:
        assert slow.get("/static/big.bin").body == BIG


def test_requests_in_one_segment_are_answered_in_their_order(server: Server) -> None:
    with server.connect() as wire:
        wire.send(head("/static/ten.txt") + head("/") + head("/static/big.bin") + head("/static/sub/"))
        assert wire.reply().body == b"0123456789"
        assert wire.reply().text == "Hello, world!"
        assert wire.reply().body == BIG
        assert wire.reply().text == "<p>index</p>"


HARMFUL = [
    "/static/../secret",
    "/static/%2e%2e/secret",
    "/static/..%2fsecret",
    "/static/sub/../../secret",
    "/static/up/secret",
    "/static/out.txt",
    "/static/.env",
    "/static/%2eenv",
    "/static/.git/config",
    "/static//etc/passwd",
    "/static/pipe",
    "/static/empty/",
    "/static/empty",
    "/static/",
    "/static/none",
    "/static/ten.txt/",
    "/static/ten.txt%00.png",
]


@pytest.mark.parametrize("target", HARMFUL)
def test_what_is_no_file_of_the_directory_is_the_applications(server: Server, target: str) -> None:
    with server.connect() as wire:
        reply = wire.get(target)
        assert "secret" not in reply.text
        assert reply.header("Last-Modified") is None


def test_what_is_a_file_by_an_odd_name_is_served(server: Server) -> None:
    with server.connect() as wire:
        assert wire.get("/static/a%20b.txt").text == "blank"
        assert wire.get("/%73tatic/ten.txt").body == b"0123456789"
        assert wire.get("/static/within.txt").body == b"0123456789"
        assert wire.get("/static/.well-known/security.txt").text == "Contact: x"
        assert wire.get("/static/ten.txt?v=1").body == b"0123456789"
        assert wire.get("http://test.example/static/ten.txt").body == b"0123456789"


def test_a_directory_is_answered_with_its_index_behind_a_slash(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/static/sub?a=1")
        assert (reply.status, reply.header("Location")) == (301, "/static/sub/?a=1")
        reply = wire.get("/static/sub/")
        assert (reply.text, reply.header("Cache-Control")) == ("<p>index</p>", "no-cache")


def test_other_methods_are_the_applications(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.request("/static/ten.txt", method="POST", body=b"x").reply()
        assert reply.header("Last-Modified") is None


def test_a_coded_sibling_is_sent_to_those_who_take_it(server: Server) -> None:
    with server.connect() as wire:
        plain = wire.get("/static/app.js")
        coded = wire.get("/static/app.js", fields=[("Accept-Encoding", "br, gzip")])
        for reply in (plain, coded):
            assert reply.header("Vary") == "Accept-Encoding"
            assert reply.header("Content-Type") == "text/javascript; charset=utf-8"
        assert coded.header("Content-Encoding") == "gzip"
        assert gzip.decompress(coded.body) == plain.body
        assert coded.header("ETag") != plain.header("ETag")
        refused = wire.get("/static/app.js", fields=[("Accept-Encoding", "gzip;q=0")])
        assert refused.body == plain.body
        again = [("Accept-Encoding", "gzip"), ("If-None-Match", coded.header("ETag") or "")]
        reply = wire.get("/static/app.js", fields=again)
        assert (reply.status, reply.header("ETag")) == (304, coded.header("ETag"))
        assert (reply.header("Vary"), reply.header("Content-Type")) == ("Accept-Encoding", None)


def test_hashed_names_are_immutable_and_fonts_may_be_used_elsewhere(server: Server) -> None:
    with server.connect() as wire:
        reply = wire.get("/static/app.3f2a9c1b.js")
        assert reply.header("Cache-Control") == "public, max-age=31536000, immutable"
        assert wire.get("/static/font.woff2").header("Access-Control-Allow-Origin") == "*"


def test_several_ranges_are_one_body_of_parts(server: Server) -> None:
    with server.connect() as wire:
        for target, content in (("/static/ten.txt", b"0123456789"), ("/static/big.bin", BIG)):
            reply = wire.get(target, fields=[("Range", "bytes=0-1,8-9")])
            assert reply.status == 206
            kind = reply.header("Content-Type") or ""
            boundary = kind.removeprefix("multipart/byteranges; boundary=").encode()
            _, first, second, end = reply.body.split(b"\r\n--" + boundary)
            assert end == b"--\r\n"
            for part, wanted in ((first, content[0:2]), (second, content[8:10])):
                fields, _, body = part.partition(b"\r\n\r\n")
                assert b"Content-Range: bytes " in fields
                assert body == wanted


@pytest.mark.parametrize("file", ["conditions", "ranges"])
def test_the_vectors_hold_on_the_wire(server: Server, file: str) -> None:
    with server.connect() as wire:
        etag = wire.get("/static/ten.txt").header("ETag") or ""
        for case in read(f"static/{file}"):
            method = case.text("method") or ""
            fields = [tuple(field.split(": ", 1)) for field in case.texts("field")]
            fields = [(name, value.replace('"v1"', etag)) for name, value in fields]
            reply = wire.request("/static/ten.txt", method=method, fields=fields).reply(to=method)
            assert str(reply.status) == case.text("status"), case.text("case")
            ranges = case.texts("range")
            if len(ranges) == 1:
                assert reply.header("Content-Range") == f"bytes {ranges[0]}/10", case.text("case")
                first, last = map(int, ranges[0].split("-"))
                assert reply.body == b"0123456789"[first : last + 1]
            if reply.status == 416:
                assert reply.header("Content-Range") == "bytes */10"


@pytest.mark.skipif("HTTP2" not in subprocess.getoutput("curl -V"), reason="there is no curl for HTTP/2")
def test_files_are_served_over_http_2(serve: Serve, files: Path, worker: str, tmp_path: Path) -> None:
    server = serve(*CLASSES[worker], "--static", f"/static/={files}", "--http2-cleartext", "prior-knowledge", cwd=APPS)
    taken = tmp_path / "taken"
    curl = ["curl", "-s", "--http2-prior-knowledge", "-o", taken, "-w", "%{http_version} %{http_code}"]
    for name, fields, code in (
        ("big.bin", [], 200),
        ("big.bin", ["-H", "Range: bytes=5-9"], 206),
        ("ten.txt", [], 200),
    ):
        said = subprocess.run(
            [*curl, *fields, f"{server.url}/static/{name}"], check=True, capture_output=True, text=True, timeout=20
        )
        assert said.stdout == f"2 {code}"
        content = (files / name).read_bytes()
        assert taken.read_bytes() == (content[5:10] if code == 206 else content)


def test_a_busy_worker_serves_files(serve: Serve, files: Path) -> None:
    server = serve("lab", "-k", "sync", "--static", f"/static/={files}", cwd=APPS)
    with server.connect() as busy, server.connect() as kept:
        assert kept.get("/").text == "Hello, world!"
        busy.request("/gate/busy")
        serve.gates.wait_entered("busy")
        assert kept.get("/static/big.bin").body == BIG
        with server.connect() as fresh:
            assert fresh.get("/static/ten.txt").body == b"0123456789"
            fresh.request("/")
            serve.gates.open("busy")
            assert fresh.reply().text == "Hello, world!"
        assert busy.reply().status == 200


def test_busy_workers_serve_files_and_leave_the_rest_to_the_first_that_is_free(serve: Serve, files: Path) -> None:
    server = serve("lab", "-k", "sync", "-w", "2", "--static", f"/static/={files}", cwd=APPS)
    serve.wait_serving(server, 2)
    serve.occupy(server, 2)
    with server.connect() as one, server.connect() as other:
        one.request("/gate/one")
        serve.gates.wait_entered("one")
        other.request("/gate/other")
        serve.gates.wait_entered("other")
        with server.connect() as fresh, server.connect() as waiting:
            assert fresh.get("/static/ten.txt").body == b"0123456789"
            waiting.request("/")
            assert fresh.get("/static/ten.txt").body == b"0123456789"
            serve.gates.open("one")
            assert waiting.reply().text == "Hello, world!"
        serve.gates.open("other")
        assert (one.reply().status, other.reply().status) == (200, 200)


def test_a_file_that_is_replaced_is_served_at_once(serve: Serve, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.txt").write_text("one")
    server = serve("lab", "--static", f"/s={root}", cwd=APPS)
    with server.connect() as wire:
        assert wire.get("/s/a.txt").text == "one"
        (root / "a.txt").write_text("two")
        assert wire.get("/s/a.txt").text == "two"
        (root / "new").write_text("three")
        (root / "new").replace(root / "a.txt")
        assert wire.get("/s/a.txt").text == "three"
        (root / "a.txt").unlink()
        assert wire.get("/s/a.txt").header("Last-Modified") is None


def change(path: Path, how: str) -> None:
    match how:
        case "truncated":
            os.truncate(path, 100_000)
        case "overwritten":
            with path.open("r+b") as file:
                file.write(b"new" * 1000)
        case "removed":
            path.unlink()
        case "replaced":
            path.with_name("new").write_bytes(b"new" * 1000)
            path.with_name("new").replace(path)


@pytest.mark.parametrize("how", ["truncated", "overwritten", "removed", "replaced"])
def test_a_file_that_changes_while_it_is_sent_is_never_mixed(serve: Serve, tmp_path: Path, how: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    content = b"old!" * 2_000_000
    (root / "a.bin").write_bytes(content)
    server = serve("lab", "--static", f"/s={root}", cwd=APPS)
    with Wire(server.address, receive_buffer=65536) as wire:
        wire.request("/s/a.bin", fields=[("Connection", "close")]).until(b"\r\n\r\n")
        change(root / "a.bin", how)
        body = wire.rest_or_reset()
    if how in ("removed", "replaced"):
        assert body == content  # The file that was opened is whole.
    else:
        assert len(body) < len(content)  # The connection was cut, so the client knows that it is not whole.


def test_a_missing_file_is_404_where_the_operator_wants_that(serve: Serve, files: Path) -> None:
    server = serve("lab", "--static", f"/static/={files}", "--static-missing", "404", cwd=APPS)
    with server.connect() as wire:
        for target in ("/static/none", "/static/.env", "/static/%2e%2e/secret", "/static/"):
            reply = wire.get(target)
            assert (reply.status, reply.keeps_alive) == (404, True)
        assert wire.get("/").text == "Hello, world!"


def test_links_lead_anywhere_where_the_operator_wants_that(serve: Serve, files: Path) -> None:
    server = serve("lab", "--static", f"/static/={files}", "--static-symlinks", "anywhere", cwd=APPS)
    with server.connect() as wire:
        assert wire.get("/static/out.txt").text == "secret"


def test_a_single_page_application_gets_its_index_and_scripts_do_not(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text("<div id=app>")
    server = serve("lab", "--spa", f"/={tmp_path}/dist", "--spa-except", "/environ", cwd=APPS)
    page = [("Accept", "text/html,*/*;q=0.8")]
    with server.connect() as wire:
        assert wire.get("/users/7", fields=page).text == "<div id=app>"
        assert wire.get("/", fields=page).text == "<div id=app>"
        assert wire.get("/environ/7", fields=page).json()["PATH_INFO"] == "/environ/7"
        assert wire.get("/users/7", fields=[("Accept", "*/*")]).text != "<div id=app>"
        assert wire.get("/missing.js", fields=page).text != "<div id=app>"


def test_the_rules_of_the_operator_say_how_long_files_are_kept(serve: Serve, files: Path) -> None:
    rules = ("--static-max-age", "0", "--static-cache-control", "*.woff2=public, max-age=7")
    server = serve("lab", "--static", f"/static/={files}", *rules, cwd=APPS)
    with server.connect() as wire:
        assert wire.get("/static/ten.txt").header("Cache-Control") == "no-cache"
        assert wire.get("/static/font.woff2").header("Cache-Control") == "public, max-age=7"


def test_the_access_log_has_a_line_of_each(serve: Serve, files: Path, tmp_path: Path) -> None:
    log = tmp_path / "access"
    form = ("--access-logfile", str(log), "--access-logformat", "%(r)s %(s)s %(B)s")
    server = serve("lab", "--static", f"/static/={files}", *form, cwd=APPS)
    with server.connect() as wire:
        etag = wire.get("/static/ten.txt").header("ETag") or ""
        wire.get("/static/ten.txt", fields=[("If-None-Match", etag)])
        wire.get("/static/ten.txt", fields=[("Range", "bytes=0-3")])
    expected = [f"GET /static/ten.txt HTTP/1.1 {end}" for end in ("200 10", "304 0", "206 4")]
    eventually(lambda: log.read_text().splitlines()[-3:] == expected)


def test_a_directory_that_is_not_there_is_told_at_the_start(serve: Serve, tmp_path: Path) -> None:
    refusal = serve.refused("lab", "--static", f"/static/={tmp_path}/none")
    assert "none" in refusal.text and refusal.code != 0
    refusal = serve.refused("lab", "--static", "static")
    assert "PREFIX=DIR" in refusal.text and refusal.code != 0


def test_djangos_static_root_is_found(serve: Serve, write, tmp_path: Path) -> None:
    (tmp_path / "collected").mkdir()
    (tmp_path / "collected" / "site.css").write_text("a {}")
    write(
        "site.py",
        """
        import django
        from django.conf import settings
        from django.core.wsgi import get_wsgi_application

        settings.configure(
            STATIC_URL="/assets/", STATIC_ROOT="collected", ROOT_URLCONF="urls", SECRET_KEY="x", ALLOWED_HOSTS=["*"],
        )
        application = get_wsgi_application()
        """,
    )
    write("urls.py", "urlpatterns = []")
    (tmp_path / "site.py").rename(tmp_path / "shop.py")
    server = serve("shop", "--static-root", cwd=tmp_path, ready=False).wait_listening()
    with server.connect() as wire:
        assert wire.get("/assets/site.css").text == "a {}"
        assert wire.get("/assets/none.css").status == 404


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_resumes_a_download(serve: Serve, files: Path, tmp_path: Path) -> None:
    server = serve("lab", "--static", f"/static/={files}", cwd=APPS)
    part = tmp_path / "big.bin"
    part.write_bytes(BIG[:1000])
    subprocess.run(["curl", "-sf", "-C", "-", "-o", part, f"{server.url}/static/big.bin"], check=True, timeout=20)
    assert part.read_bytes() == BIG
