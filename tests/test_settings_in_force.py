"""Settings do what they say, at the start and after a reload."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP

import pytest
from harness import APPS, Serve, better, eventually, parity, processes

Write = Callable[[str, str], Path]

TEXTS = """
    import os

    def one(environ, start_response):
        text = "one " + os.environ.get("COLOUR", "none")
        start_response("200 OK", [("Content-Length", str(len(text)))])
        return [text.encode()]

    def two(environ, start_response):
        text = "two " + os.environ.get("COLOUR", "none")
        start_response("200 OK", [("Content-Length", str(len(text)))])
        return [text.encode()]
"""


@parity
def test_a_reload_reads_wsgi_app_and_raw_env_again(serve: Serve, write: Write) -> None:
    write("texts.py", TEXTS)
    conf = write("conf.py", "wsgi_app = 'texts:one'\nraw_env = ['COLOUR=red']\n")
    server = serve(None, "-c", str(conf), cwd=conf.parent)
    assert server.get("/").text == "one red"
    for text, expected in [
        ("wsgi_app = 'texts:two'\nraw_env = 'COLOUR=blue'\n", "two blue"),
        ("wsgi_app = 'texts:one'\n", "one none"),
    ]:
        old = server.workers()
        conf.write_text(text)
        server.signal(SIGHUP).wait_replaced(old, 1)
        assert server.get("/").text == expected


@better
def test_a_reload_reads_a_module_again(serve: Serve, write: Write) -> None:
    write("texts.py", TEXTS)
    module = write("deployment.py", "raw_env = ['COLOUR=red']\n")
    server = serve("texts:one", "-c", "python:deployment", cwd=module.parent)
    old = server.wait_workers(1)
    assert server.get("/").text == "one red"
    module.write_text("workers = 2\nraw_env = ['COLOUR=green']\n")
    server.signal(SIGHUP).wait_replaced(old, 2)
    assert server.get("/").text == "one green"


@parity
@pytest.mark.parametrize("umask", ["077", "0o77", "0x3f", "63"])
def test_umask_is_octal_where_it_begins_with_a_zero(serve: Serve, tmp_path: Path, umask: str) -> None:
    path = tmp_path / "socket"
    server = serve("lab", "-m", umask, bind=f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    # It is for the socket alone: what the application makes has the mask of the shell that started the server.
    before = os.umask(0)
    os.umask(before)
    [worker] = server.wait_workers(1)
    assert int(processes.status(worker, "Umask"), 8) == before


@parity
def test_pythonpath_stands_before_everything(serve: Serve, write: Write) -> None:
    write("here/texts.py", TEXTS)
    write("first/texts.py", TEXTS.replace('"one', '"first'))
    folder = write("second/texts.py", TEXTS.replace('"one', '"second')).parent.parent
    paths = f"{folder}/first,{folder}/second"
    server = serve("texts:one", "--pythonpath", paths, cwd=folder / "here")
    assert server.get("/").text == "second none"


def test_a_reload_with_a_wrong_value_names_it_and_changes_nothing(serve: Serve, write: Write) -> None:
    conf = write("conf.py", "workers = 1\n")
    server = serve("lab", "-c", str(conf), cwd=APPS)
    old = server.wait_workers(1)
    for text, sentence in [
        ("workers = 'many'", "workers: 'many' is not valid: expected a whole number, 0 or more"),
        ("user = 'nosuchuser'", "user: 'nosuchuser' cannot be used: there is no such user"),
        ("chdir = '/nowhere'", "chdir: '/nowhere' cannot be used: no such directory"),
        ("def on_exit(): pass", "on_exit: a function with the parameters"),
        ("workers =", "SyntaxError"),
    ]:
        conf.write_text(text + "\n")
        server.signal(SIGHUP).wait_log(f"(?s){sentence}")
        assert server.get("/").status == 200
    assert server.workers() == old
    conf.write_text("workers = 2\n")
    server.signal(SIGHUP)
    eventually(lambda: len(server.workers()) == 2, within=20, what=lambda: server.log)
