"""`manage.py runoxicorn` and `flask oxicorn` serve a project as these frameworks' own commands do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from harness import Serve, Server, eventually, free_port

Start = Callable[..., Server]

SITE = {
    "manage.py": """
        import os, sys
        from django.core.management import execute_from_command_line
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
        execute_from_command_line(sys.argv)
        """,
    "site_settings.py": """
        import os
        DEBUG = "PLAIN" not in os.environ
        SECRET_KEY = "only for tests"
        ALLOWED_HOSTS = ["*"]
        ROOT_URLCONF = "site_urls"
        INSTALLED_APPS = ["django.contrib.staticfiles", "oxicorn", "shop"]
        WSGI_APPLICATION = "site_wsgi.application"
        ASGI_APPLICATION = "site_asgi.application"
        STATIC_URL = "/static/"
        """,
    "site_wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
    "site_asgi.py": "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n",
    "site_urls.py": """
        from django.urls import path
        from shop import index
        urlpatterns = [path("", index)]
        """,
    "shop/__init__.py": """
        from django.http import HttpResponse
        TEXT = "old"
        def index(request):
            return HttpResponse(f"{TEXT} {type(request).__name__}")
        """,
    "shop/static/style.css": "body {}\n",
}


@pytest.fixture
def start(serve: Serve, write) -> Start:
    """Run a command of the project in `serve.folder`; PORT stands for a free port."""

    def start(
        *command: str, files: dict[str, str], env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> Server:
        for name, text in files.items():
            write(name, text)
        port = free_port()
        words = [word.replace("PORT", str(port)) for word in command]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OXICORN_TEST_SERVER", " ".join([sys.executable, *words]))
            server = serve(None, cwd=cwd or serve.folder, ready=False, bind=None, env=env)
        server.address = ("127.0.0.1", port)
        server.wait_ready()
        return server

    return start


def get(server: Server, path: str = "/") -> httpx.Response:
    with server.client() as client:
        return client.get(path)


@pytest.mark.parametrize(("options", "request_class"), [([], "WSGIRequest"), (["--asgi"], "ASGIRequest")])
def test_django_serves_reloads_and_has_static_files(
    start: Start, serve: Serve, options: list[str], request_class: str
) -> None:
    server = start("manage.py", "runoxicorn", "PORT", *options, files=SITE)
    assert get(server).text == f"old {request_class}"
    assert get(server, "/static/style.css").text == "body {}\n"
    server.wait_log("System check identified no issues")
    package = serve.folder / "shop" / "__init__.py"
    package.write_text(package.read_text().replace('"old"', '"new"'))
    eventually(lambda: get(server).text == f"new {request_class}")
    assert server.stop() == 0


def test_django_without_debug_serves_workers_and_no_files(start: Start, tmp_path: Path) -> None:
    command = [str(tmp_path / "manage.py"), "runoxicorn", "127.0.0.1:PORT", "--workers", "2"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    server = start(*command, files=SITE, env={"PLAIN": "1"}, cwd=elsewhere)
    assert get(server).text == "old WSGIRequest"
    assert get(server, "/static/style.css").status_code == 404
    server.wait_workers(2)


def test_django_refuses_what_is_no_address(serve: Serve, write) -> None:
    for name, text in SITE.items():
        write(name, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OXICORN_TEST_SERVER", f"{sys.executable} manage.py runoxicorn")
        refusal = serve.refused("nowhere", cwd=serve.folder, bind=None)
    assert refusal.code == 1 and "'nowhere' is not a port" in refusal.text


SHOP = {
    "shop.py": """
        from flask import Flask
        TEXT = "old"
        def create_app():
            app = Flask(__name__)
            app.add_url_rule("/", view_func=lambda: TEXT)
            return app
        """
}


def test_flask_finds_the_application_and_reloads(start: Start, serve: Serve) -> None:
    command = ["-m", "flask", "--app", "shop", "--debug", "oxicorn", "--port", "PORT", "--", "--threads", "2"]
    server = start(*command, files=SHOP)
    assert get(server).text == "old"
    file = serve.folder / "shop.py"
    file.write_text(file.read_text().replace('"old"', '"new"'))
    eventually(lambda: get(server).text == "new")
    assert server.stop() == 0


def test_flask_without_debug_serves_workers(start: Start) -> None:
    server = start(
        "-m", "flask", "oxicorn", "-p", "PORT", "--workers", "2", files=SHOP, env={"FLASK_APP": "shop:create_app"}
    )
    assert get(server).text == "old"
    server.wait_workers(2)
