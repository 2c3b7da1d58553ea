"""The server itself says that it is alive and whether it wants requests, also while all of its threads are busy."""

from __future__ import annotations

from contextlib import ExitStack
from signal import SIGINT, SIGTERM

import pytest
from harness import Serve, Server, Wire, eventually

CLASSES = {
    "sync": ("lab", "-k", "sync"),
    "gthread": ("lab", "-k", "gthread", "--threads", "2"),
    "asgi": ("asgi_lab", "-k", "asgi"),
}
PATHS = ("--health-path", "/healthz")

#: An answer that waits for a thread does not come at all.
SOON_S = 5.0


def ask(server: Server, path: str) -> tuple[int, bytes]:
    with server.connect() as wire:
        reply = wire.patience(SOON_S).get(path)
        return reply.status, reply.body


def occupy(serve: Serve, stack: ExitStack, server: Server, number: int) -> list[Wire]:
    """Have so many threads (or event loops) of the application blocked."""
    wires = []
    for slot in range(number):
        wires.append(stack.enter_context(server.connect()).request(f"/gate/{slot}"))
        serve.gates.wait_entered(str(slot))
    return wires


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_it_is_answered_while_every_thread_is_busy(serve: Serve, worker: str, workers: int) -> None:
    app, *options = CLASSES[worker]
    server = serve(app, "-w", str(workers), *PATHS, *options)
    slots = workers * (2 if worker == "gthread" else 1)
    serve.occupy(server, slots)
    with ExitStack() as stack:
        kept = stack.enter_context(server.connect())
        assert kept.get("/healthz").status == 200
        held = occupy(serve, stack, server, slots)
        waiting = stack.enter_context(server.connect()).request("/")
        slow = stack.enter_context(server.connect())
        for _ in range(3):
            assert ask(server, "/healthz") == (200, b"ok\n")
            assert ask(server, "/readyz?verbose") == (200, b"ok\n")
        assert kept.patience(SOON_S).get("/healthz").status == 200
        slow.send(b"GET /hea")
        assert ask(server, "/healthz") == (200, b"ok\n")
        assert slow.patience(SOON_S).send(b"lthz HTTP/1.1\r\nHost: a\r\n\r\n").reply().status == 200
        assert not waiting.has_arrived()
        for number, wire in enumerate(held):
            serve.gates.open(str(number))
            assert wire.reply().status == 200
        assert waiting.reply().status == 200
        assert kept.get("/").status == 200


def test_an_event_loop_that_is_blocked_is_alive(serve: Serve) -> None:
    server = serve("asgi_lab", "-k", "asgi", *PATHS)
    with server.connect() as wire:
        wire.request("/block/held")
        serve.gates.wait_entered("held")
        assert ask(server, "/healthz") == (200, b"ok\n")
        serve.gates.open("held")
        assert wire.reply().status == 200


@pytest.mark.parametrize("worker", list(CLASSES))
def test_the_application_does_not_see_it(serve: Serve, worker: str) -> None:
    app, *options = CLASSES[worker]
    server = serve(app, *PATHS, "--ready-path", "/up", "--access-logfile", "-", "--limit-concurrency", "1000", *options)
    with server.connect() as wire:
        for path in ("/healthz", "/up"):
            reply = wire.get(path)
            assert (reply.status, reply.body, reply.header("Cache-Control")) == (200, b"ok\n", "no-store")
        head = wire.request("/healthz", method="HEAD").reply(to="HEAD")
        assert head.status == 200 and head.header("Content-Length") == "3"
        # Another method, and the default that is not in force, are the application's.
        assert wire.request("/healthz", method="POST", body=b"").reply().status == 404
        assert wire.get("/readyz").status == 404
    server.wait_log("GET /readyz")
    assert "GET /healthz" not in server.log


def test_nothing_is_answered_unless_it_is_asked_for(serve: Serve) -> None:
    server = serve("lab")
    assert ask(server, "/readyz")[0] == 404


def test_the_end_is_announced_and_comes_after_the_delay(serve: Serve) -> None:
    server = serve("lab", "-w", "2", *PATHS, "--drain-delay", "1000", kind="sync")
    server.signal(SIGTERM)
    eventually(lambda: ask(server, "/readyz") == (503, b"stopping\n"))
    assert ask(server, "/healthz") == (200, b"ok\n")
    # It serves on, and replaces a worker that dies.
    with server.connect() as wire:
        assert wire.get("/").text == "Hello, world!"
    server.signal(SIGTERM)
    assert server.wait_exit() == 0


@pytest.mark.parametrize("second", [SIGINT, None], ids=["int", "time"])
def test_the_delay_ends(serve: Serve, second: int | None) -> None:
    server = serve("lab", *PATHS, "--drain-delay", "1000" if second else "0.5")
    server.signal(SIGTERM)
    if second:
        eventually(lambda: ask(server, "/readyz")[0] == 503)
        server.signal(SIGINT)
    assert server.wait_exit() == 0


@pytest.mark.parametrize("path", ["healthz", "/a?b", "/a b", "/ä"])
def test_what_is_no_path_is_refused(serve: Serve, path: str) -> None:
    refusal = serve.refused("lab", "--health-path", path)
    assert "health_path" in refusal.text or "--health-path" in refusal.text
    assert "begins with a slash" in refusal.text
