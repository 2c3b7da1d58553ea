"""Falcon: resources, media, bounded and unbounded streams, middleware, sinks, errors."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from harness import Serve, Server


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("falcon_app:app", kind=kind)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client(timeout=20) as client:
        yield client


def test_a_resource(client: httpx.Client, server: Server) -> None:
    seen = client.get("/item/42", params={"q": ["a", "b"]})
    assert seen.json() == {"number": 42, "q": ["a", "b"], "uri": f"{server.url}/item/42?q=a&q=b"}
    assert seen.headers["X-Succeeded"] == "True"


def test_media(client: httpx.Client) -> None:
    made = client.put("/item/1", json={"name": "Zoë"})
    assert (made.status_code, made.json()) == (201, {"number": 1, "got": {"name": "Zoë"}})
    gone = client.delete("/item/1")
    assert (gone.status_code, gone.content) == (204, b"")


def test_bodies(client: httpx.Client) -> None:
    assert client.post("/raw", content=b"y" * 300_000).content == b"y" * 300_000
    assert client.post("/unbounded", content=b"y" * 300_000).json() == {"total": 300_000}
    assert client.post("/unbounded", content=iter([b"one ", b"two"])).json() == {"total": 7}


def test_an_upload(client: httpx.Client) -> None:
    taken = client.post("/upload", data={"title": "x"}, files={"file": ("a.bin", b"x" * 500_000)})
    assert taken.json() == {"title": [None, 1], "file": ["a.bin", 500_000]}


def test_streams(client: httpx.Client) -> None:
    assert client.get("/stream").content == b"s" * 300_000
    assert client.post("/stream").text == "".join(f"{number}\n" for number in range(100))


def test_a_sink(client: httpx.Client) -> None:
    assert client.get("/sink/deep/down?q=1").text == "/sink/deep/down?q=1"


def test_errors(client: httpx.Client, server: Server) -> None:
    assert client.get("/teapot").json() == {"title": "Short and stout"}
    assert client.get("/nowhere").status_code == 404
    assert client.get("/item/none").status_code == 404
    assert client.patch("/item/1").status_code == 405
    failed = client.get("/fails")
    assert (failed.status_code, failed.headers["X-Succeeded"]) == (500, "False")
    server.wait_log("RuntimeError: a responder that fails")
