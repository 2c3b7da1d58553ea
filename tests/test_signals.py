"""Signals mean what they mean to Gunicorn."""

from __future__ import annotations

import os
from signal import SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR2, SIGWINCH, Signals

import pytest
from harness import APPS, Serve, eventually, parity, processes, still

STOPS = pytest.mark.parametrize("number", [SIGTERM, SIGINT, SIGQUIT], ids=lambda each: each.name)


@parity("sync")
@STOPS
def test_the_arbiter_stops_with_code_0(serve: Serve, kind: str, number: Signals) -> None:
    server = serve("lab", "-w", "2", kind=kind)
    workers = server.wait_workers(2)
    # A worker that still boots would leave without a word.
    serve.occupy(server, 2 if kind == "sync" else 8)
    assert server.stop(number) == 0
    assert f"Handling signal: {number.name.removeprefix('SIG').lower()}" in server.log
    assert "Shutting down: Master" in server.log
    for worker in workers:
        assert f"Worker exiting (pid: {worker})" in server.log
        assert not processes.alive(worker)


@STOPS
def test_it_stops_while_it_boots(serve: Serve, number: Signals, write) -> None:
    """The import of the application waits at a gate that stays closed."""
    write("boots.py", "import lab\nlab.wait_at('boot')\napplication = lab.application\n")
    server = serve("boots", "--pythonpath", str(APPS), cwd=serve.folder, ready=False)
    serve.gates.wait_entered("boot")
    assert server.stop(number) == 0


@parity
def test_a_second_term_is_no_trouble(serve: Serve) -> None:
    server = serve("lab")
    with server.connect() as wire:
        wire.request("/gate/slow")
        serve.gates.wait_entered("slow")
        server.signal(SIGTERM)
        server.wait_log("Handling signal: term")
        server.signal(SIGTERM)
        serve.gates.open("slow")
        assert wire.reply().status == 200
    assert server.wait_exit() == 0


@parity("sync")
def test_quit_does_not_wait_for_a_view(serve: Serve, kind: str) -> None:
    server = serve("lab", "--graceful-timeout", "60", kind=kind)
    with server.connect() as wire:
        wire.request("/gate/stuck")
        serve.gates.wait_entered("stuck")
        assert server.stop(SIGQUIT, within=10) == 0


@parity
def test_int_shortens_a_graceful_stop(serve: Serve) -> None:
    server = serve("lab", "--graceful-timeout", "60")
    with server.connect() as wire:
        wire.request("/gate/stuck")
        serve.gates.wait_entered("stuck")
        server.signal(SIGTERM)
        server.wait_log("Handling signal: term")
        assert server.stop(SIGINT, within=10) == 0


@parity
def test_hup_replaces_every_worker(serve: Serve, kind: str) -> None:
    server = serve("lab", "-w", "2", kind=kind)
    old = server.wait_workers(2)
    server.signal(SIGHUP)
    server.wait_replaced(old, 2)
    assert server.get().text == "Hello, world!"
    assert "Handling signal: hup" in server.log
    assert server.running


@parity
def test_ttin_and_ttou_change_the_number(serve: Serve) -> None:
    server = serve("lab", "-w", "1")
    [first] = server.wait_workers(1)
    server.signal(SIGTTIN)
    server.wait_workers(2)
    server.signal(SIGTTIN)
    server.wait_workers(3)
    serve.occupy(server, 3)
    server.signal(SIGTTOU)
    left = server.wait_workers(2)
    assert first not in left, "the oldest goes first"
    server.signal(SIGTTOU)
    server.wait_workers(1)
    server.signal(SIGTTOU)
    still(lambda: len(server.workers()) == 1, throughout=0.5, what="one worker is the least")
    assert server.get().text == "Hello, world!"


@parity
def test_hup_resets_the_number(serve: Serve) -> None:
    server = serve("lab", "-w", "1")
    server.wait_workers(1)
    server.signal(SIGTTIN)
    old = server.wait_workers(2)
    server.signal(SIGHUP)
    server.wait_replaced(old, 1)


@parity
def test_ttou_lets_requests_finish(serve: Serve) -> None:
    server = serve("lab", "-w", "2", kind="sync")
    serve.occupy(server, 2)
    with server.connect() as one, server.connect() as two:
        for name, wire in (("one", one), ("two", two)):
            wire.request(f"/gate/{name}")
            serve.gates.wait_entered(name)
        server.signal(SIGTTOU)
        server.wait_log("Handling signal: ttou")
        for name, wire in (("one", one), ("two", two)):
            serve.gates.open(name)
            assert wire.reply().status == 200
    server.wait_workers(1)


@parity
def test_winch_in_the_foreground_changes_nothing(serve: Serve) -> None:
    """A terminal sends it at every change of its size."""
    server = serve("lab")
    workers = server.wait_workers(1)
    server.signal(SIGWINCH)
    still(lambda: server.workers() == workers, throughout=0.5, what=f"workers {workers}")
    assert server.get().text == "Hello, world!"


@pytest.mark.parametrize("number", [SIGHUP, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU])
def test_a_worker_ignores_what_is_the_arbiters(serve: Serve, kind: str, number: Signals) -> None:
    """`pkill -HUP oxicorn` reaches the workers as well and must cost no request."""
    server = serve("lab", kind=kind)
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/gate/working")
        serve.gates.wait_entered("working")
        os.kill(worker, number)
        serve.gates.open("working")
        assert wire.reply().text == str(worker)
        assert wire.get("/pid").text == str(worker)
    assert server.workers() == [worker]


@parity
@pytest.mark.parametrize("number", [SIGTERM, SIGINT, SIGQUIT], ids=lambda each: each.name)
def test_a_worker_that_is_told_to_go_is_replaced(serve: Serve, number: Signals) -> None:
    server = serve("lab", "-w", "2")
    first, second = server.wait_workers(2)
    os.kill(first, number)
    server.wait_replaced([first], 2)
    assert second in server.workers()


@parity
def test_term_lets_a_worker_finish(serve: Serve, kind: str) -> None:
    server = serve("lab", kind=kind)
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/gate/last")
        serve.gates.wait_entered("last")
        os.kill(worker, SIGTERM)
        eventually(lambda: len(server.workers()) == 2 or processes.alive(worker))
        serve.gates.open("last")
        assert wire.reply().text == str(worker)
    server.wait_replaced([worker], 1)


@parity
def test_the_applications_children_have_their_signals(serve: Serve, write) -> None:
    """What the server does with signals must not be inherited by a subprocess of a view."""
    write(
        "spawns.py",
        """
        import subprocess, sys

        CODE = (
            "import signal;"
            "print(signal.pthread_sigmask(signal.SIG_BLOCK, []),"
            "[n for n in (1, 2, 3, 10, 12, 15, 17, 28) if signal.getsignal(n) == signal.SIG_IGN])"
        )

        def application(environ, start_response):
            out = subprocess.run([sys.executable, "-c", CODE], capture_output=True).stdout
            start_response("200 OK", [("Content-Length", str(len(out)))])
            return [out]
        """,
    )
    server = serve("spawns", cwd=serve.folder)
    assert server.get().text == "set() []\n"


@parity
def test_python_signal_handlers_of_the_application_work(serve: Serve, write, kind: str) -> None:
    write(
        "handles.py",
        """
        import signal
        from lab import application, mark

        signal.signal(signal.SIGALRM, lambda *_: mark("alarmed"))
        """,
    )
    server = serve("handles", "--pythonpath", str(APPS), cwd=serve.folder, kind=kind)
    [worker] = server.wait_workers(1)
    os.kill(worker, SIGALRM)
    serve.gates.wait_marked("alarmed")
    assert server.get().text == "Hello, world!"
