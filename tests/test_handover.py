"""A kept connection does not tie its client to one worker.

Its next request goes to a worker with a free slot, also when the worker that has the connection has none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from harness import Serve, Wire
from harness.wire import head

#: What a hand-over may take on a busy machine; a request that waits for its worker takes for ever.
SOON_S = 3.0


@pytest.mark.parametrize("options", [("-k", "sync"), ("-k", "gthread", "--threads", "2")])
def test_no_kept_connection_waits_behind_a_busy_worker(serve: Serve, options: tuple[str, ...]) -> None:
    server = serve("lab", "-w", "2", *options)
    slots = 1 if "sync" in options else 2
    serve.occupy(server, 2 * slots)
    with ExitStack() as stack:
        kept = [stack.enter_context(server.connect()) for _ in range(12)]
        for wire in kept:
            wire.get()
        held = [stack.enter_context(server.connect()) for _ in range(slots)]
        for number, wire in enumerate(held):
            wire.request(f"/gate/{number}")
            serve.gates.wait_entered(str(number))
        for _ in range(2):
            for wire in kept:
                assert wire.patience(SOON_S).get("/pid").status == 200
        for number, wire in enumerate(held):
            serve.gates.open(str(number))
            assert wire.reply().status == 200


def test_requests_that_come_at_once_are_spread(serve: Serve) -> None:
    """Two connections of one worker ask at the same time: both workers serve."""
    server = serve("lab", "-w", "2", kind="sync")
    serve.occupy(server, 2)
    with server.connect() as one, server.connect() as two:
        one.get(), two.get()
        for name, wire in (("one", one), ("two", two)):
            wire.request(f"/gate/{name}")
        for name in ("one", "two"):
            serve.gates.wait_entered(name, within=SOON_S)
        for name in ("one", "two"):
            serve.gates.open(name)
        assert one.reply().text != two.reply().text


@contextmanager
def kept_while_a_worker_is_busy(serve: Serve) -> Iterator[list[Wire]]:
    """Six kept connections of two workers, one of which has no time for its own."""
    server = serve("lab", "-w", "2", kind="sync")
    serve.occupy(server, 2)
    with ExitStack() as stack:
        kept = [stack.enter_context(server.connect()) for _ in range(6)]
        for wire in kept:
            wire.get()
        busy = stack.enter_context(server.connect())
        busy.request("/gate/busy")
        serve.gates.wait_entered("busy")
        yield kept
        serve.gates.open("busy")
        assert busy.reply().status == 200


def test_a_request_with_a_body_moves_whole(serve: Serve) -> None:
    with kept_while_a_worker_is_busy(serve) as kept:
        for number, wire in enumerate(kept):
            body = b"%d" % number * 50_000
            reply = wire.patience(SOON_S * 2).request("/echo", method="POST", body=body).reply()
            assert reply.body == body


def test_pipelined_requests_stay_in_order(serve: Serve) -> None:
    with kept_while_a_worker_is_busy(serve) as kept:
        for wire in kept:
            wire.patience(SOON_S).send(b"".join(head(f"/environ/{number}") for number in range(5)))
        for wire in kept:
            paths = [wire.reply().json()["PATH_INFO"] for _ in range(5)]
            assert paths == [f"/environ/{number}" for number in range(5)]


def test_a_lone_worker_keeps_its_connections(serve: Serve) -> None:
    server = serve("lab", "-w", "1", kind="sync")
    with server.connect() as kept, server.connect() as busy:
        kept.get()
        busy.request("/gate/busy")
        serve.gates.wait_entered("busy")
        kept.request("/pid")
        begun = time.monotonic()
        serve.gates.open("busy")
        assert busy.reply().text == kept.reply().text
        assert time.monotonic() - begun < SOON_S
