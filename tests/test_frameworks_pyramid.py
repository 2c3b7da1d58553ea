"""Pyramid, through a factory: routes, renderers, sessions, uploads, files, exception views."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from harness import APPS, Serve, Server


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("pyramid_app:factory()", kind=kind)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client(timeout=20) as client:
        yield client


def test_a_page(client: httpx.Client) -> None:
    assert client.get("/", params={"name": "Zoë"}).text == "Hello, Zoë!"


def test_a_route_and_a_renderer(client: httpx.Client, server: Server) -> None:
    assert client.get("/item/42").json() == {"id": 42, "url": f"{server.url}/item/7"}
    assert client.get("/item/none").status_code == 404


def test_sessions(client: httpx.Client) -> None:
    assert [client.get("/count").json()["count"] for _ in range(3)] == [1, 2, 3]


def test_an_upload(client: httpx.Client) -> None:
    taken = client.post("/upload", data={"title": "Größe"}, files={"file": ("a.bin", b"x" * 1_000_000)})
    assert taken.json() == {"name": "a.bin", "size": 1_000_000, "title": "Größe"}


def test_bodies(client: httpx.Client) -> None:
    assert client.put("/raw", content=b"y" * 300_000).content == b"y" * 300_000
    assert client.put("/raw", content=iter([b"one ", b"two"])).content == b"one two"


def test_a_file(client: httpx.Client) -> None:
    assert client.get("/source").content == (APPS / "pyramid_app.py").read_bytes()


def test_a_stream(client: httpx.Client) -> None:
    assert client.get("/stream").text == "".join(f"{number}\n" for number in range(100))


def test_a_redirect(client: httpx.Client, server: Server) -> None:
    page = client.get("/away")
    assert (page.status_code, page.headers["Location"]) == (302, f"{server.url}/")


def test_a_view_that_fails(client: httpx.Client, server: Server) -> None:
    assert client.get("/fails").status_code == 500
    server.wait_log("RuntimeError: a view that fails")
    assert client.get("/").status_code == 200


def test_an_exception_view(serve: Serve, kind: str) -> None:
    server = serve("pyramid_app:factory(apologise=True)", kind=kind)
    reply = server.get("/fails")
    assert (reply.status, reply.text) == (500, "sorry")
    assert "Traceback" not in server.log
