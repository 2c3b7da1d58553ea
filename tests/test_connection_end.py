"""How a connection ends: an answer that is cut off does not look whole, and what nobody waits for is not run."""

from __future__ import annotations

import time

import pytest
from harness import KINDS, Serve, Server
from harness.wire import head

WORKERS = {**KINDS, "asgi": ["-k", "asgi"]}


@pytest.fixture(params=WORKERS)
def worker(request: pytest.FixtureRequest) -> str:
    return request.param


def start(serve: Serve, worker: str, *options: str) -> Server:
    return serve(f"ends:{'asgi' if worker == 'asgi' else 'wsgi'}", *WORKERS[worker], "-w", "1", *options)


def test_an_answer_that_ends_with_its_connection_and_fails_is_reset(serve: Serve, worker: str) -> None:
    server = start(serve, worker)
    with server.connect() as wire:
        wire.send(head("/cut", version="HTTP/1.0"))
        with pytest.raises(ConnectionResetError):
            wire.rest()
    assert server.get().text == "hello"


def test_a_client_that_takes_nothing_is_reset(serve: Serve, worker: str) -> None:
    """The kernel would offer it what it holds for minutes."""
    server = start(serve, worker, "--send-timeout", "1")
    with server.connect(receive_buffer=4096) as wire:
        wire.send(head("/large"))
        time.sleep(4)  # The promise is about a client that does nothing for longer than the time-out.
        with pytest.raises(ConnectionResetError):
            wire.patience(20).rest()
    assert server.get().text == "hello"


def test_clients_that_have_reset_are_not_served(serve: Serve, worker: str) -> None:
    server = start(serve, worker)
    calls = serve.gates.folder / "calls"
    busy = [server.connect().request("/slow") for _ in range(4)]
    for _ in range(40):
        server.connect().request("/slow").reset()
    assert server.get().text == "hello"
    for wire in busy:
        assert wire.reply().text == "hello"
    # Those that were accepted before they reset have been called at the most.
    assert len(calls.read_text()) < 20


def test_a_client_that_has_ended_its_side_is_served(serve: Serve, worker: str) -> None:
    server = start(serve, worker)
    with server.connect() as wire:
        assert wire.request("/slow").half_close().reply().text == "hello"
