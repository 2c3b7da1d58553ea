"""The operator's pages take the place of the server's own error pages, whatever the error and the protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Serve, Server
from harness.http2 import connect

CLASSES = {
    "sync": ("lab", "-k", "sync"),
    "gthread": ("lab", "-k", "gthread", "--threads", "2"),
    "asgi": ("asgi_lab", "-k", "asgi"),
}


@pytest.fixture
def pages(tmp_path: Path) -> tuple[str, ...]:
    """Options that name a page for each of some statuses."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for status in (400, 404, 413, 429, 500):
        (folder / f"{status}.html").write_text(f"<h1>own page {status}</h1>")
    (folder / "414.json").write_text('{"error": 414}')
    files = sorted(folder.iterdir())
    return tuple(word for file in files for word in ("--error-page", f"{file.stem}={file}"))


@pytest.fixture(params=CLASSES)
def start(serve: Serve, pages: tuple[str, ...], request: pytest.FixtureRequest):
    app, *options = CLASSES[request.param]

    def start(*more: str) -> Server:
        return serve(app, *options, *pages, *more)

    return start


def test_refusals_of_the_server_have_the_operators_page(start, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    options = ("--limit-request-body", "10", "--rate-limit", "/echo=1/h", "--static-missing", "404")
    server = start(*options, "--static", f"/static/={files}")
    with server.connect() as wire:
        reply = wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").reply()
        assert (reply.status, reply.text) == (400, "<h1>own page 400</h1>")
        assert reply.header("Content-Type") == "text/html; charset=utf-8"
        assert not reply.keeps_alive
    with server.connect() as wire:
        reply = wire.get("/" + "a" * 5000)
        assert (reply.status, reply.text, reply.header("Content-Type")) == (414, '{"error": 414}', "application/json")
    with server.connect() as wire:
        assert wire.request("/echo", method="POST", body=b"x" * 11).reply().text == "<h1>own page 413</h1>"
    with server.connect() as wire:
        assert wire.get("/static/missing").text == "<h1>own page 404</h1>"
        reply = wire.request("/static/missing", method="HEAD").reply(to="HEAD")
        assert (reply.status, reply.header("Content-Length")) == (404, "21")
        assert [wire.get("/echo").status for _ in range(2)] == [200, 429]
        reply = wire.get("/echo")
        assert (reply.text, reply.header("Content-Type")) == ("<h1>own page 429</h1>", "text/html; charset=utf-8")
        assert reply.header("Retry-After")


@pytest.mark.parametrize("kind", CLASSES)
def test_an_exception_of_the_application_has_it_too(serve: Serve, pages: tuple[str, ...], kind: str) -> None:
    server = serve(*CLASSES[kind], *pages, "--http2-cleartext", "both")
    target = "/early_error/x" if kind == "asgi" else "/error/x"
    assert server.get(target).text == "<h1>own page 500</h1>"
    assert isinstance(server.address, tuple)
    with connect(*server.address[:2]) as client:
        response = client.get(target)
        assert (response.status, response.text) == (500, "<h1>own page 500</h1>")
        assert response.header("content-type") == "text/html; charset=utf-8"
        assert client.get("/").status == 200


def test_what_the_application_answers_stays(serve: Serve, pages: tuple[str, ...], write) -> None:
    write(
        "shop.py",
        """
        def app(environ, start_response):
            start_response("404 Not Found", [("Content-Length", "4")])
            return [b"mine"]
        """,
    )
    server = serve("shop:app", *pages, cwd=serve.folder, ready=False).wait_listening()
    assert server.get("/").text == "mine"


def test_a_page_that_cannot_be_read_is_told(serve: Serve) -> None:
    server = serve("lab", "--error-page", "500=/nowhere/x.html")
    server.wait_log("error_page: /nowhere/x.html cannot be read")
    assert server.get("/error/x").status == 500


def test_a_rule_that_is_none_is_refused(serve: Serve) -> None:
    assert "STATUS=FILE" in serve.refused("lab", "--error-page", "200=x").text
