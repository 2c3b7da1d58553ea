"""Bottle: routes, forms, uploads, signed cookies, static files, generators, aborts."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from harness import APPS, Serve, Server


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("bottle_app:app", kind=kind)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client(timeout=20) as client:
        yield client


def test_a_page(client: httpx.Client) -> None:
    assert client.get("/hello/Zoë").text == "Hello, Zoë!"


def test_a_form(client: httpx.Client) -> None:
    assert client.post("/form", data={"title": "Größe"}).json() == {"title": "Größe"}


def test_an_upload(client: httpx.Client) -> None:
    taken = client.post("/upload", files={"file": ("a.bin", b"x" * 1_000_000)})
    assert taken.json() == {"name": "a.bin", "size": 1_000_000}


def test_bodies(client: httpx.Client) -> None:
    assert client.post("/raw", content=b"y" * 300_000).content == b"y" * 300_000


def test_signed_cookies(client: httpx.Client) -> None:
    assert [client.get("/cookie").json()["count"] for _ in range(3)] == [1, 2, 3]


def test_static_files(client: httpx.Client) -> None:
    source = (APPS / "bottle_app.py").read_bytes()
    file = client.get("/static/bottle_app.py")
    assert file.content == source
    part = client.get("/static/bottle_app.py", headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, source[5:10])
    unchanged = {"If-Modified-Since": file.headers["Last-Modified"]}
    assert client.get("/static/bottle_app.py", headers=unchanged).status_code == 304
    head = client.head("/static/bottle_app.py")
    assert (head.headers["Content-Length"], head.content) == (str(len(source)), b"")


def test_a_generator(client: httpx.Client) -> None:
    assert client.get("/generate").text == "".join(f"{number}\n" for number in range(100))


def test_refusals(client: httpx.Client, server: Server) -> None:
    assert client.get("/abort").status_code == 403
    assert client.get("/nowhere").status_code == 404
    assert client.post("/hello/x").status_code == 405
    assert client.get("/fails").status_code == 500
    server.wait_log("RuntimeError: a view that fails")
    assert client.get("/hello/x").status_code == 200
