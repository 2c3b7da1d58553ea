"""Middleware of others works as it does elsewhere: files pass through it as bodies, unless the operator offers more."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import brotli
import pytest
from harness import APPS, Serve

OLD_PACKAGES = Path(sys.prefix) / "old-packages"

FILES = """
    from pathlib import Path
    import starlette
    from starlette.applications import Starlette
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.responses import FileResponse, PlainTextResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    FOLDER = Path(__file__).parent

    async def version(request):
        return PlainTextResponse(starlette.__version__)

    async def file(request):
        return FileResponse(FOLDER / "page.html")

    app = Starlette(routes=[Route("/", version), Route("/file", file), Mount("/static", StaticFiles(directory=FOLDER))])
    zipped = GZipMiddleware(app, minimum_size=1)

    def brotlied():
        from brotli_asgi import BrotliMiddleware
        return BrotliMiddleware(app, minimum_size=1)
"""
PAGE = "<p>hello</p>\n" * 1000


@pytest.fixture
def folder(write, tmp_path: Path) -> Path:
    write("files.py", FILES)
    write("page.html", PAGE)
    return tmp_path


def accepting(server, target: str, coding: str):
    with server.connect() as wire:
        return wire.get(target, fields=[("Accept-Encoding", coding)])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Starlette of that version needs Python 3.11")
@pytest.mark.parametrize("age", ["old", "new"])
def test_starlette_s_gzip_compresses_files(serve: Serve, folder: Path, age: str) -> None:
    path = [str(OLD_PACKAGES)] if age == "old" else []
    if age == "old" and not OLD_PACKAGES.is_dir():
        pytest.skip("tests/requirements-old.txt is not installed; `make test` does it")
    server = serve("files:zipped", cwd=folder, env={"PYTHONPATH": ":".join(path)})
    assert server.get("/").text.startswith("0.36") == (age == "old")
    for target in ("/file", "/static/page.html"):
        reply = accepting(server, target, "gzip")
        assert (reply.status, reply.header("content-encoding")) == (200, "gzip")
        assert gzip.decompress(reply.body).decode() == PAGE
    assert "Traceback" not in server.log


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Starlette of that version needs Python 3.11")
def test_brotli_asgi_compresses_files(serve: Serve, folder: Path) -> None:
    server = serve("files:brotlied()", cwd=folder)
    for target in ("/file", "/static/page.html"):
        reply = accepting(server, target, "br")
        assert (reply.status, reply.header("content-encoding")) == (200, "br")
        assert brotli.decompress(reply.body).decode() == PAGE
    assert "Traceback" not in server.log


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Starlette of that version needs Python 3.11")
@pytest.mark.parametrize("options", [(), ("--asgi-pathsend",)])
def test_files_are_the_same_whether_the_server_sends_them_or_not(
    serve: Serve, folder: Path, options: tuple[str, ...]
) -> None:
    server = serve("files:app", *options, cwd=folder)
    with server.connect() as wire:
        reply = wire.get("/static/page.html")
    assert (reply.text, reply.header("content-length")) == (PAGE, str(len(PAGE)))


def test_a_middleware_that_waits_for_the_first_body_message_gets_one(serve: Serve, write) -> None:
    """As Gradio's does: it holds the head back until it has seen a body."""
    write(
        "waiting.py",
        """
        import asgi_lab

        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                return
            held = []
            async def waiting(message):
                if message["type"] == "http.response.start":
                    held.append(message)
                elif message["type"] == "http.response.body":
                    for one in held:
                        await send(one)
                    held.clear()
                    await send(message)
                else:
                    raise AssertionError(message["type"])
            if "http.response.pathsend" in scope["extensions"]:
                await waiting({"type": "http.response.start", "status": 200, "headers": []})
                await waiting({"type": "http.response.pathsend", "path": __file__})
            else:
                await asgi_lab.application(scope, receive, waiting)
        """,
    )
    server = serve("waiting:app", "--pythonpath", f"{APPS},{serve.folder}")
    assert server.get("/").text == "Hello, world!"
