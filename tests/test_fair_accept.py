"""A worker without a free slot accepts nothing: requests go where they can be served."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from harness import Serve


@pytest.mark.parametrize("options", [("-k", "sync"), ("-k", "gthread", "--threads", "2")])
def test_nobody_waits_behind_a_busy_worker(serve: Serve, options: tuple[str, ...]) -> None:
    server = serve("lab", "-w", "2", *options)
    slots = 1 if "sync" in options else 2
    serve.occupy(server, 2 * slots)
    with ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(slots)]
        for number, wire in enumerate(held):
            wire.request(f"/gate/{number}")
            serve.gates.wait_entered(str(number))
        # Whichever workers hold these, a slot is free somewhere.
        for _ in range(30):
            with server.connect() as wire:
                assert wire.patience(5).get("/pid").status == 200
        for number, wire in enumerate(held):
            serve.gates.open(str(number))
            assert wire.reply().status == 200


def test_the_queue_is_served_in_the_end(serve: Serve) -> None:
    server = serve("lab", "-w", "1", kind="sync")
    with ExitStack() as stack:
        first = stack.enter_context(server.connect())
        first.request("/gate/first")
        serve.gates.wait_entered("first")
        waiting = [stack.enter_context(server.connect()) for _ in range(40)]
        for wire in waiting:
            wire.request("/pid")
        serve.gates.open("first")
        assert first.reply().status == 200
        assert {wire.reply().status for wire in waiting} == {200}


def test_load_is_spread_over_the_workers(serve: Serve) -> None:
    server = serve("lab", "-w", "2", kind="sync")
    serve.occupy(server, 2)
    with ExitStack() as stack:
        names = ["one", "two"]
        wires = [stack.enter_context(server.connect()) for _ in names]
        for name, wire in zip(names, wires, strict=True):
            wire.request(f"/gate/{name}")
        for name in names:
            serve.gates.wait_entered(name)
        for name in names:
            serve.gates.open(name)
        assert len({wire.reply().text for wire in wires}) == 2
