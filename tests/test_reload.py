"""HUP loses no request, and a broken new generation never takes the old one down."""

from __future__ import annotations

import time
from pathlib import Path
from signal import SIGHUP

import pytest
from harness import APPS, Load, Serve, Server, better, eventually, parity, still

VERSIONED = """
import lab

def application(environ, start_response):
    if environ["PATH_INFO"] != "/version":
        return lab.application(environ, start_response)
    return lab.plain(start_response, b"{version}")
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """The module that the tests deploy."""
    path = tmp_path / "versioned.py"
    path.write_text(VERSIONED.format(version="one"))
    return path


def start(serve: Serve, *options: str, kind: str = "sync") -> Server:
    return serve("versioned", "--pythonpath", str(APPS), *options, kind=kind, cwd=serve.folder)


def reload(server: Server, number: int) -> list[int]:
    old = server.workers()
    server.signal(SIGHUP)
    return server.wait_replaced(old, number)


@parity
@pytest.mark.parametrize("keep_alive", [True, False])
def test_under_load_no_request_fails(serve: Serve, kind: str, code: Path, keep_alive: bool) -> None:
    server = start(serve, "-w", "2", kind=kind)
    serve.wait_serving(server, 2)
    with Load(server, clients=8, target="/version", keep_alive=keep_alive) as load:
        for version in ("two", "three", "four"):
            code.write_text(VERSIONED.format(version=version))
            reload(server, 2)
            eventually(lambda: load.answers[version] > 20, what=lambda: str(load.answers))  # noqa: B023
    assert load.failures == []
    assert load.longest_s < 3


@parity
def test_a_request_that_lasts_is_finished_by_the_old(serve: Serve, kind: str, code: Path) -> None:
    server = start(serve, kind=kind)
    [old] = serve.wait_serving(server, 1)
    with server.connect() as wire:
        wire.request("/gate/long")
        serve.gates.wait_entered("long")
        code.write_text(VERSIONED.format(version="two"))
        server.signal(SIGHUP)
        eventually(lambda: server.get("/version").text == "two", within=20)
        serve.gates.open("long")
        assert wire.reply().text == str(old)
    server.wait_replaced([old], 1)


def test_the_old_serve_until_the_new_are_ready(serve: Serve, kind: str, code: Path) -> None:
    """The new generation's import waits at a gate; all that time the old one answers."""
    server = start(serve, "-w", "2", kind=kind)
    old = serve.wait_serving(server, 2)
    code.write_text("import lab\nlab.wait_at('import')\n" + VERSIONED.format(version="two"))
    with Load(server, clients=4, target="/version") as load:
        server.signal(SIGHUP)
        serve.gates.wait_entered("import")
        seen = load.total
        still(lambda: set(old) <= set(server.workers()), throughout=1, what="the old are there")
        eventually(lambda: load.total > seen + 50, what="requests that are served meanwhile")
        assert set(load.answers) == {"one"}
        serve.gates.open("import")
        eventually(lambda: load.answers["two"] > 20, within=20)
    assert load.failures == []
    server.wait_replaced(old, 2)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("raise RuntimeError('no database')\n", "RuntimeError: no database"),
        ("def application(:\n", "SyntaxError"),
        ("app = 1\n", "application"),
        ("import os\nos._exit(9)\n", "9"),
    ],
    ids=["raises", "syntax", "attribute", "dies"],
)
def test_broken_code_keeps_the_old_generation(serve: Serve, kind: str, code: Path, broken: str, reason: str) -> None:
    server = start(serve, "-w", "2", kind=kind)
    old = serve.wait_serving(server, 2)
    code.write_text(broken)
    server.signal(SIGHUP)
    server.wait_log("Handling signal: hup")
    server.wait_log(reason)
    serve.wait_serving(server, 2)
    still(lambda: server.get("/version").text == "one", throughout=1, what="the old answers")
    assert server.running
    assert server.workers() == old, "no worker of the old generation has gone"
    assert "[ERROR]" in server.log or "[CRITICAL]" in server.log

    code.write_text(VERSIONED.format(version="fixed"))
    server.signal(SIGHUP)
    server.wait_replaced(old, 2)
    assert server.get("/version").text == "fixed"


@better
def test_a_broken_configuration_keeps_the_old_generation(serve: Serve, code: Path) -> None:
    conf = serve.folder / "gunicorn.conf.py"
    conf.write_text("workers = 1\n")
    server = start(serve)
    old = serve.wait_serving(server, 1)
    for text, reason in [
        ("workers = (\n", "SyntaxError|never closed"),
        ("workers = 'many'\n", "many"),
        ("raise ValueError('no secret')\n", "no secret"),
    ]:
        conf.write_text(text)
        server.signal(SIGHUP)
        server.wait_log(reason)
        still(lambda: server.workers() == old, throughout=0.3, what=f"the old, with {text!r}")
        assert server.get("/version").text == "one"
    conf.write_text("workers = 2\n")
    server.signal(SIGHUP)
    server.wait_replaced(old, 2)


@better
def test_a_missing_configuration_keeps_the_old_generation(serve: Serve, code: Path) -> None:
    conf = serve.folder / "named.py"
    conf.write_text("workers = 1\n")
    server = start(serve, "-c", str(conf))
    old = serve.wait_serving(server, 1)
    conf.unlink()
    server.signal(SIGHUP)
    server.wait_log("named\\.py")
    still(lambda: server.workers() == old, throughout=0.5, what="the old generation")
    assert server.get("/version").text == "one"


@parity
def test_the_configuration_is_read_again(serve: Serve, code: Path) -> None:
    conf = serve.folder / "gunicorn.conf.py"
    conf.write_text("workers = 1\nraw_env = ['LAB_COLOUR=red']\n")
    server = start(serve)
    old = serve.wait_serving(server, 1)
    assert server.get("/variable/LAB_COLOUR").text == "red"
    conf.write_text("workers = 3\nraw_env = ['LAB_COLOUR=blue']\n")
    server.signal(SIGHUP)
    server.wait_replaced(old, 3)
    assert server.get("/variable/LAB_COLOUR").text == "blue"


@parity
def test_the_number_of_workers_may_shrink(serve: Serve, code: Path) -> None:
    conf = serve.folder / "gunicorn.conf.py"
    conf.write_text("workers = 3\n")
    server = start(serve)
    old = serve.wait_serving(server, 3)
    conf.write_text("workers = 1\n")
    server.signal(SIGHUP)
    server.wait_replaced(old, 1)


@parity
def test_many_reloads_at_once_end_in_one_generation(serve: Serve, code: Path) -> None:
    server = start(serve, "-w", "2")
    old = serve.wait_serving(server, 2)
    with Load(server, clients=2, target="/version") as load:
        code.write_text(VERSIONED.format(version="two"))
        for _ in range(5):
            server.signal(SIGHUP)
            time.sleep(0.02)  # A signal that is pending already is not delivered twice.
        server.wait_replaced(old, 2)
        eventually(lambda: load.answers["two"] > 10)
    assert load.failures == []
    eventually(lambda: len(server.workers()) == 2)


def test_a_new_address_is_bound_and_the_old_one_left(serve: Serve, code: Path) -> None:
    conf, first, second = serve.folder / "gunicorn.conf.py", "one.sock", "two.sock"
    conf.write_text(f"bind = 'unix:{serve.folder}/{first}'\n")
    server = serve("versioned", "--pythonpath", str(APPS), cwd=serve.folder, bind=None, ready=False)
    server.address = str(serve.folder / first)
    server.wait_ready("/version")
    conf.write_text(f"bind = 'unix:{serve.folder}/{second}'\n")
    server.signal(SIGHUP)
    server.address = str(serve.folder / second)
    # The name is there a moment before the socket listens.
    server.wait_listening()
    assert server.get("/version").text == "one"
    eventually(lambda: not (serve.folder / first).exists(), what="the old socket is gone")


@parity
def test_preloaded_code_goes_on_serving(serve: Serve, code: Path) -> None:
    server = start(serve, "--preload", "-w", "2")
    server.wait_workers(2)
    with Load(server, clients=4, target="/version") as load:
        reload(server, 2)
        seen = load.total
        eventually(lambda: load.total > seen + 50)
    assert load.failures == []


@parity
def test_a_relative_configuration_is_found_after_chdir(serve: Serve, code: Path) -> None:
    (serve.folder / "away").mkdir()
    conf = serve.folder / "relative.py"
    conf.write_text("workers = 1\n")
    paths = f"{APPS},{serve.folder}"
    server = serve("versioned", "-c", "relative.py", "--chdir", "away", "--pythonpath", paths, cwd=serve.folder)
    old = serve.wait_serving(server, 1)
    conf.write_text("workers = 2\n")
    server.signal(SIGHUP)
    server.wait_log("Handling signal: hup")
    eventually(lambda: len(server.workers()) == 2 or not server.running)
    server.wait_replaced(old, 2, within=10)
