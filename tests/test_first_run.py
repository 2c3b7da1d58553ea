"""The first run is calm and exact: a short banner on a terminal, Gunicorn's lines elsewhere."""

from __future__ import annotations

import re
from signal import SIGINT

import pytest
from harness import APPS, Serve, Wire, free_port
from harness.terminal import Terminal


@pytest.fixture
def port() -> int:
    return free_port()


def test_a_terminal_shows_a_banner(port: int) -> None:
    address = f"127.0.0.1:{port}"
    with Terminal("lab:application", "-w", "2", "--bind", address, cwd=APPS) as terminal:
        screen = terminal.wait_for("ready in")
        # What was found, where it listens, how many workers of which kind, and how long it took.
        for said in ("oxicorn 0.", "Python 3.", "lab:application", f"http://{address}"):
            assert said in screen, screen
        assert re.search(r"workers\s+2 .*sync", screen), screen
        assert re.search(r"limits\s+\S", screen), screen
        assert re.search(r"ready in \d+(\.\d+)? ?m?s", screen), screen
        assert len(screen.splitlines()) < 12, screen
        with Wire(("127.0.0.1", port)) as wire:
            assert wire.get().text == "Hello, world!"
        terminal.process.send_signal(SIGINT)
        assert terminal.process.wait(15) == 0
        assert "Traceback" not in terminal.screen


def test_ready_means_that_it_serves(port: int) -> None:
    with Terminal("lab", "--bind", f"127.0.0.1:{port}", cwd=APPS) as terminal:
        terminal.wait_for("ready in")
        with Wire(("127.0.0.1", port)) as wire:
            assert wire.patience(2).get().text == "Hello, world!"


def test_no_color_is_honoured(port: int) -> None:
    options = ("lab", "--bind", f"127.0.0.1:{port}")
    with Terminal(*options, cwd=APPS, env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("ready in")
        assert "\x1b[" not in terminal.screen


def test_an_error_on_a_terminal_is_short(serve: Serve, port: int) -> None:
    with Terminal("no_such_module", "--bind", f"127.0.0.1:{port}", cwd=APPS) as terminal:
        assert terminal.process.wait(20) == 3
        screen = terminal.screen
        assert "no_such_module" in screen and "Traceback" not in screen
        assert len(screen.splitlines()) < 12, screen


def test_elsewhere_the_lines_are_gunicorns(serve: Serve) -> None:
    server = serve("lab", "-w", "2")
    server.wait_workers(2)
    server.wait_log("Booting worker with pid", times=2)
    said = [re.sub(r"^\[[^]]*\] \[\d+\] ", "", line) for line in server.err.splitlines()]
    assert re.fullmatch(r"\[INFO\] Starting oxicorn \d+\.\d+\.\d+", said[0])
    assert said[1] == f"[INFO] Listening at: {server.url} ({server.pid})"
    # Nobody knows yet what the application speaks; Gunicorn stops at the first words.
    assert said[2] == "[INFO] Using worker: sync (asgi for an ASGI application)"
    assert all(re.fullmatch(r"\[INFO\] Booting worker with pid: \d+", line) for line in said[3:])
    assert len(said) == 5
    assert "\x1b" not in server.err


def test_the_address_is_bound_before_the_application_is_imported(serve: Serve, write) -> None:
    write("slow.py", "import lab\nlab.wait_at('import')\napplication = lab.application\n")
    server = serve("slow", "--pythonpath", str(APPS), cwd=serve.folder, ready=False)
    server.wait_listening()
    with server.connect() as wire:
        wire.request()
        serve.gates.wait_entered("import")
        serve.gates.open("import")
        assert wire.reply().text == "Hello, world!"
