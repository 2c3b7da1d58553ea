"""`--reload` serves what was just saved."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import APPS, Serve, Server, eventually

SOURCE = """
import lab
from helper import TEXT

def application(environ, start_response):
    return lab.plain(start_response, b"%s " + TEXT)
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("TEXT = b'one'\n")
    (tmp_path / "edited.py").write_text(SOURCE % "first")
    return tmp_path


def start(serve: Serve, *options: str, kind: str = "sync") -> Server:
    paths = ("--pythonpath", str(APPS))
    return serve("edited", "--reload", *paths, *options, cwd=serve.folder, kind=kind)


def says(server: Server, text: str) -> None:
    def answers() -> bool:
        try:
            return server.get().text == text
        except (AssertionError, OSError):
            return False

    eventually(answers, within=20, what=lambda: f"{text!r}; log:\n{server.log}")


def test_a_saved_module_is_served(serve: Serve, code: Path, kind: str) -> None:
    server = start(serve, kind=kind)
    says(server, "first one")
    (code / "edited.py").write_text(SOURCE % "second")
    says(server, "second one")
    (code / "helper.py").write_text("TEXT = b'two'\n")
    says(server, "second two")


def test_every_worker_reloads(serve: Serve, code: Path) -> None:
    server = start(serve, "-w", "2")
    old = server.wait_workers(2)
    (code / "edited.py").write_text(SOURCE % "second")
    server.wait_replaced(old, 2)
    says(server, "second one")


def test_an_extra_file(serve: Serve, code: Path) -> None:
    extra = code / "template.html"
    extra.write_text("one")
    server = start(serve, "--reload-extra-file", str(extra))
    old = server.wait_workers(1)
    extra.write_text("two")
    server.wait_replaced(old, 1)


def test_a_mistake_does_not_end_the_server(serve: Serve, code: Path) -> None:
    server = start(serve)
    says(server, "first one")
    (code / "edited.py").write_text("def application(:\n")
    server.wait_log("SyntaxError", within=20)
    (code / "edited.py").write_text(SOURCE % "mended")
    says(server, "mended one")
    assert server.running


def test_without_it_nothing_is_watched(serve: Serve, code: Path) -> None:
    server = serve("edited", "--pythonpath", str(APPS), cwd=serve.folder)
    workers = server.wait_workers(1)
    (code / "edited.py").write_text(SOURCE % "second")
    eventually(lambda: server.get().text == "first one")
    assert server.workers() == workers
