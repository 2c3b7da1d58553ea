"""A Django project is served whole: admin with login, sessions, static files, uploads, SQLite."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from harness import APPS, Serve, Server
from harness.server import environment

SITE = APPS / "django_site"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the database migrated, a superuser, and the static files collected."""
    folder = tmp_path_factory.mktemp("site")
    env = environment({"SITE_DATA": str(folder), "DJANGO_SUPERUSER_PASSWORD": "secret"})
    for words in (
        ["migrate"],
        ["createsuperuser", "--noinput", "--username", "ada", "--email", "ada@test.example"],
        ["collectstatic", "--noinput"],
    ):
        subprocess.run(
            [sys.executable, "manage.py", *words, "--verbosity", "0"],
            cwd=SITE,
            env=env,
            check=True,
            timeout=60,
        )
    return folder


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str, data: Path) -> Server:
    env = {"SITE_DATA": str(data)}
    return serve_module("site_wsgi:application", "-w", "2", kind=kind, cwd=SITE, env=env)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client(follow_redirects=True, timeout=20) as client:
        yield client


def test_a_page(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "<title>Shop</title>" in page.text


def test_the_admin_site(client: httpx.Client) -> None:
    """Log in, add a document with an upload, find it in the list, delete it, log out."""
    login = client.get("/admin/")
    assert "Log in" in login.text
    welcome = client.post(
        str(login.url), data={"csrfmiddlewaretoken": token(login), "username": "ada", "password": "secret"}
    )
    assert "Site administration" in welcome.text

    form = client.get("/admin/shop/document/add/")
    added = client.post(
        "/admin/shop/document/add/",
        data={"csrfmiddlewaretoken": token(form), "title": "From the admin"},
        files={"file": ("admin.txt", b"content", "text/plain")},
    )
    assert "was added successfully" in added.text and "From the admin" in added.text

    listed = client.get("/admin/shop/document/")
    number = re.search(r"/admin/shop/document/(\d+)/change/", listed.text)[1]
    deleted = client.post(
        f"/admin/shop/document/{number}/delete/", data={"csrfmiddlewaretoken": token(listed), "post": "yes"}
    )
    assert "was deleted successfully" in deleted.text
    gone = client.post("/admin/logout/", data={"csrfmiddlewaretoken": token(deleted)})
    assert "Logged out" in gone.text or "logged out" in gone.text.lower()


def token(page: httpx.Response) -> str:
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]


def test_a_wrong_password_is_refused(client: httpx.Client) -> None:
    login = client.get("/admin/login/")
    again = client.post(
        "/admin/login/", data={"csrfmiddlewaretoken": token(login), "username": "ada", "password": "wrong"}
    )
    assert "Please enter the correct username" in again.text


def test_a_form_without_its_token_is_refused(client: httpx.Client) -> None:
    assert client.post("/admin/login/", data={"username": "ada"}).status_code == 403


def test_sessions(client: httpx.Client, server: Server) -> None:
    assert [client.get("/visits/").text for _ in range(5)] == ["1", "2", "3", "4", "5"]
    with server.client() as other:
        assert other.get("/visits/").text == "1"


def test_static_files(client: httpx.Client, data: Path) -> None:
    path = "admin/css/base.css"
    file = client.get(f"/static/{path}")
    assert file.status_code == 200
    assert file.headers["Content-Type"] == "text/css"
    assert file.content == (data / "static" / path).read_bytes()
    again = client.get(f"/static/{path}", headers={"If-Modified-Since": file.headers["Last-Modified"]})
    assert again.status_code == 304 and again.content == b""


@pytest.mark.parametrize("size", [10, 5_000_000])
def test_an_upload_and_its_download(client: httpx.Client, size: int) -> None:
    content = os.urandom(size)
    taken = client.post(
        "/documents/",
        data={"title": "Größe"},
        files={"file": ("ü.bin", content, "application/x-lab")},
    ).json()
    assert taken["size"] == size
    assert taken["type"] == "application/x-lab"
    assert taken["sha256"] == hashlib.sha256(content).hexdigest()
    back = client.get(f"/documents/{taken['id']}/")
    assert back.content == content
    assert back.headers["Content-Length"] == str(size)
    assert "attachment" in back.headers["Content-Disposition"]


def test_a_stream(client: httpx.Client) -> None:
    page = client.get("/stream/")
    assert page.text == "".join(f"line {number}\n" for number in range(1000))
    assert "Content-Length" not in page.headers


def test_what_the_request_says(client: httpx.Client, server: Server) -> None:
    seen = client.get("/about/", params={"q": ["a b", "ü"]}).json()
    assert seen["query"] == ["a b", "ü"]
    assert seen["uri"].startswith(f"{server.url}/about/?q=")
    assert (seen["secure"], seen["port"]) == (False, str(server.address[1]))
    secure = client.get("/about/", headers={"X-Forwarded-Proto": "https"}).json()
    assert secure["secure"] is True and secure["uri"].startswith("https://")


def test_a_redirect_to_the_slash(client: httpx.Client) -> None:
    page = client.get("/visits", follow_redirects=False)
    assert (page.status_code, page.headers["Location"]) == (301, "/visits/")


def test_what_is_not_there(client: httpx.Client) -> None:
    assert client.get("/nowhere/").status_code == 404
    assert client.get("/documents/999999/").status_code == 404


def test_a_view_that_fails(client: httpx.Client, server: Server) -> None:
    assert client.get("/fails/").status_code == 500
    server.wait_log("RuntimeError: a view that fails")
    assert client.get("/").status_code == 200


def test_head(client: httpx.Client) -> None:
    page = client.head("/")
    assert page.status_code == 200 and page.content == b""
    assert int(page.headers["Content-Length"]) > 0


def test_many_clients_at_once(server: Server) -> None:
    def visit(_: int) -> list[str]:
        with server.client(timeout=30) as client:
            return [client.get("/visits/").text for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(visit, range(16))) == [["1", "2", "3", "4", "5"]] * 16
