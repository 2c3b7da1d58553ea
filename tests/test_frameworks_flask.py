"""Flask: templates, sessions, forms, uploads, streams, files, error pages."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from harness import APPS, Serve, Server


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("flask_app:app", kind=kind)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client(follow_redirects=True, timeout=20) as client:
        yield client


def test_a_template(client: httpx.Client) -> None:
    assert client.get("/", params={"name": "Zoë & <co>"}).text == "<h1>Hello, Zoë &amp; &lt;co&gt;!</h1>"


def test_sessions(client: httpx.Client) -> None:
    assert [client.get("/count").json()["count"] for _ in range(3)] == [1, 2, 3]


def test_a_form_with_redirect_and_flash(client: httpx.Client) -> None:
    page = client.post("/form", data={"title": "Notes", "author": "Ada"})
    assert page.json() == ["Notes by Ada"]
    assert [each.status_code for each in page.history] == [302]


def test_an_upload(client: httpx.Client) -> None:
    content = b"0123456789" * 100_000
    taken = client.post("/upload", files={"file": ("ten.bin", content)})
    assert taken.json() == {"name": "ten.bin", "size": 1_000_000, "head": "0123456789"}


def test_its_own_limit_is_413(client: httpx.Client) -> None:
    assert client.post("/upload", files={"file": ("large", b"x" * 3_000_000)}).status_code == 413
    assert client.get("/").status_code == 200


def test_json(client: httpx.Client) -> None:
    assert client.post("/json", json={"a": [1, None, "ü"]}).json() == {"got": {"a": [1, None, "ü"]}}
    assert client.post("/json", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400


def chunks() -> Iterator[bytes]:
    for number in range(100):
        yield b"%03d" % number * 100


def test_a_chunked_body(client: httpx.Client) -> None:
    """Werkzeug reads it because `wsgi.input_terminated` says that it has an end."""
    assert client.post("/raw", content=chunks()).content == b"".join(chunks())
    assert client.post("/stream-in", content=chunks()).json() == {"total": 30_000}


def test_a_stream(client: httpx.Client) -> None:
    with client.stream("GET", "/stream") as page:
        assert list(page.iter_lines()) == [f"/stream {number}" for number in range(100)]


def test_a_file(client: httpx.Client) -> None:
    source = (APPS / "flask_app.py").read_bytes()
    page = client.get("/file")
    assert page.content == source
    assert client.get("/file", headers={"If-None-Match": page.headers["ETag"]}).status_code == 304
    part = client.get("/file", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, source[10:20])
    assert client.get("/memory").content == b"m" * 100_000


def test_what_the_request_says(client: httpx.Client, server: Server) -> None:
    seen = client.get("/url", params={"q": "ü"}).json()
    assert seen["url"].startswith(f"{server.url}/url?q=")
    assert (seen["remote"], seen["scheme"]) == ("127.0.0.1", "http")
    assert client.get("/path/a%2Fb/%C3%BC").json() == {"rest": "a/b/ü"}


def test_error_pages(client: httpx.Client, server: Server) -> None:
    assert client.get("/nowhere").json() == {"error": "not here"}
    assert client.get("/teapot").status_code == 418
    assert client.post("/").status_code == 405
    assert client.get("/fails").status_code == 500
    server.wait_log("RuntimeError: a view that fails")


def test_options_and_head(client: httpx.Client) -> None:
    assert set(client.options("/").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    page = client.head("/")
    assert (page.status_code, page.content) == (200, b"")
