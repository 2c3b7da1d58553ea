"""FastAPI, Starlette, Django, Quart, Litestar and BlackSheep, as their users write them."""

from __future__ import annotations

import httpx
import pytest
from harness import APPS, Serve, Server, eventually

HUNDRED = "".join(f"{number}\n" for number in range(100))
BODY = b"y" * 300_000


@pytest.fixture(params=["asyncio", "uvloop"])
def options(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The event loops."""
    pytest.importorskip(request.param)
    return ("-k", "asgi", "--asgi-loop", request.param)


def test_starlette(serve: Serve, options: tuple[str, ...]) -> None:
    pytest.importorskip("starlette")
    server = serve("starlette_app:app", *options)
    with server.client(timeout=20) as client:
        hello = client.get("/", params={"q": "a b"})
        assert hello.json() == {"pool": "open", "client": "127.0.0.1", "url": f"{server.url}/?q=a+b"}
        assert hello.headers["X-Middleware"] == "yes"
        assert client.post("/echo", content=BODY).content == BODY
        assert client.post("/count", content=iter([BODY, b"1"])).json() == {"total": len(BODY) + 1}
        assert client.get("/stream").text == HUNDRED
        assert client.get("/file").content == (APPS / "starlette_app.py").read_bytes()
        assert client.get("/later").text == "accepted"
        assert client.get("/nowhere").status_code == 404
        assert client.get("/fails").status_code == 500
    eventually(lambda: serve.gates.marked("later.worked"))
    server.wait_log("RuntimeError: a view that fails")
    assert server.stop() == 0
    assert serve.gates.marked("pool.closed")


def test_starlette_notices_that_a_client_has_left(serve: Serve, options: tuple[str, ...]) -> None:
    pytest.importorskip("starlette")
    server = serve("starlette_app:app", *options)
    with server.connect() as wire:
        wire.request("/endless").until(b"data: tick")
    eventually(lambda: serve.gates.marked("endless.closed"), within=2)
    assert "ERROR" not in server.log


def test_fastapi(serve: Serve, options: tuple[str, ...]) -> None:
    pytest.importorskip("fastapi")
    server = serve("fastapi_app:app", *options)
    with server.client(timeout=20) as client:
        assert client.get("/", headers={"User-Agent": "me"}).json() == {"agent": "me"}
        assert client.get("/thread").json() == {"main": False}
        made = client.put("/items/7", json={"name": "Zoë"})
        assert (made.status_code, made.json()) == (201, {"number": 7, "name": "Zoë", "price": 1.0})
        assert client.put("/items/7", json={}).status_code == 422
        assert client.get("/items/7").json() == {"detail": "no item 7"}
        sent = client.post("/upload", data={"title": "x"}, files={"file": ("a.bin", BODY)})
        assert sent.json() == {"title": "x", "name": "a.bin", "size": len(BODY)}
        assert client.get("/openapi.json").json()["openapi"].startswith("3.")
        assert "swagger" in client.get("/docs").text


def test_django(serve: Serve, options: tuple[str, ...]) -> None:
    server = serve("django_asgi", *options)
    with server.client(timeout=20) as client:
        assert client.get("/", params={"a": "b"}).json() == {"path": "/", "q": {"a": "b"}, "meta": "127.0.0.1"}
        assert client.get("/plain").json() == {"main": False}
        assert client.post("/echo", content=BODY).content == BODY
        assert client.get("/stream").text == HUNDRED
        assert client.get("/fails").status_code == 500
    assert server.stop() == 0


def test_quart(serve: Serve, options: tuple[str, ...]) -> None:
    pytest.importorskip("quart")
    server = serve("quart_app:app", *options)
    with server.client(timeout=20) as client:
        assert client.get("/", params={"a": "b"}).json() == {"started": True, "args": {"a": "b"}, "scheme": "http"}
        assert client.post("/echo", content=BODY).content == BODY
        sent = client.post("/form", data={"title": "x"}, files={"file": ("a.bin", BODY)})
        assert sent.json() == {"form": {"title": "x"}, "size": len(BODY)}
        assert client.get("/stream").text == HUNDRED
        assert client.get("/fails").status_code == 500
    server.wait_log("RuntimeError: a view that fails")
    assert server.stop() == 0
    assert serve.gates.marked("quart.ended")


def test_litestar(serve: Serve, options: tuple[str, ...]) -> None:
    pytest.importorskip("litestar")
    server = serve("litestar_app:app", *options, probe="/items/1")
    with server.client(timeout=20) as client:
        assert client.get("/items/7", params={"q": "a"}).json() == {"number": 7, "q": "a"}
        echoed = client.post("/echo", json={"text": "z" * 300_000})
        assert (echoed.status_code, len(echoed.json()["text"])) == (201, 300_000)
        assert client.get("/stream").text == HUNDRED
        assert client.get("/fails").status_code == 500
    assert server.stop() == 0
    assert serve.gates.marked("litestar.ended")


def test_blacksheep(serve: Serve, options: tuple[str, ...]) -> None:
    pytest.importorskip("blacksheep")
    server = serve("blacksheep_app:app", *options)
    assert serve.gates.marked("blacksheep.started")
    with server.client(timeout=20) as client:
        assert client.get("/", params={"a": "b"}).json() == {"q": {"a": ["b"]}, "client": "127.0.0.1"}
        assert client.get("/items/7").json() == {"number": 7}
        assert client.post("/echo", content=BODY).content == BODY
        assert client.post("/count", content=iter([BODY, b"1"])).json() == {"total": len(BODY) + 1}
        assert client.get("/stream").text == HUNDRED
        assert client.get("/nowhere").status_code == 404
        assert client.get("/fails").status_code == 500
    assert server.stop() == 0
    assert serve.gates.marked("blacksheep.ended")


def test_an_asgi_framework_needs_no_worker_class(serve: Serve) -> None:
    pytest.importorskip("fastapi")
    server: Server = serve("fastapi_app:app", "-w", "2")
    assert httpx.get(f"{server.url}/", headers={"User-Agent": "me"}).json() == {"agent": "me"}
    server.wait_log("speaks ASGI")
