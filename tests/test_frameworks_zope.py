"""Zope's WSGI publisher: pages, WebDAV, uploads by PUT and by form."""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest
from harness import Serve, Server

pytest.importorskip("Zope2", reason="it needs Python 3.11")

PROPERTIES = b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><displayname/></prop></propfind>'

#: A body that stays in memory, and one that is spooled to a file.
CONTENTS = pytest.mark.parametrize("content", [b"a short file", os.urandom(1_500_000)], ids=["short", "long"])


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    return serve_module("zope_app:factory()", kind=kind)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client(timeout=20, auth=("admin", "secret")) as client:
        yield client


def test_a_page(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200 and "Zope" in page.text


@pytest.mark.parametrize("body", [b"", PROPERTIES], ids=["all", "named"])
@pytest.mark.parametrize("chunked", [False, True])
def test_propfind(client: httpx.Client, body: bytes, chunked: bool) -> None:
    content = iter([body]) if chunked else body
    reply = client.request("PROPFIND", "/", headers={"Depth": "0", "Content-Type": "text/xml"}, content=content)
    assert reply.status_code == 207
    assert "multistatus" in reply.text and "<d:href>/</d:href>" in reply.text


@CONTENTS
@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_by_put(client: httpx.Client, content: bytes, chunked: bool) -> None:
    if chunked:
        # Zope keeps what has no Content-Length in memory, up to a megabyte.
        content = content[:1_000_000]
    name = f"/put-{len(content)}-{chunked}.bin"
    # Without a type Zope takes a body for a form, up to a megabyte, and seeks back to where it began.
    headers = {} if len(content) < 1000 else {"Content-Type": "application/octet-stream"}
    sent = client.put(name, content=iter([content]) if chunked else content, headers=headers)
    assert sent.status_code == 201
    assert client.get(name).content == content
    assert client.request("DELETE", name).status_code == 204


@CONTENTS
def test_a_file_by_form(client: httpx.Client, content: bytes) -> None:
    name = f"form-{len(content)}"
    form = {"id": name, "title": "Größe"}
    sent = client.post("/manage_addProduct/OFSP/manage_addFile", data=form, files={"file": ("a.bin", content)})
    assert sent.status_code in (200, 302)
    assert client.get(f"/{name}").content == content
    assert client.get(f"/{name}/title_or_id").text in ("Größe", name)


def test_nobody_but_the_manager_writes(server: Server) -> None:
    with server.client(timeout=20) as client:
        assert client.put("/mine.bin", content=b"x").status_code == 401
        assert client.get("/mine.bin").status_code == 404
