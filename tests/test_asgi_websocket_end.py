"""What becomes of open WebSockets when their worker ends: a close frame, a disconnect, then the lifespan's end."""

from __future__ import annotations

import time
from contextlib import ExitStack
from signal import SIGHUP, SIGINT, SIGTERM

import pytest
from harness import Serve, Server, Wire
from harness.frames import TEXT, close_frame, frame, handshake, read_frame, upgrade

ASGI = ("ws_lab:application", "-k", "asgi")


def waiting(serve: Serve, server: Server, stack: ExitStack, name: str) -> Wire:
    """An open WebSocket whose view waits for the end."""
    wire = stack.enter_context(server.connect())
    upgrade(wire, f"/wait/{name}")
    serve.gates.wait_marked(f"{name}.waits")
    return wire


def test_term_closes_with_1001_and_the_lifespan_ends_last(serve: Serve) -> None:
    server = serve(*ASGI, "-w", "2", "--graceful-timeout", "20")
    with ExitStack() as stack:
        wires = [waiting(serve, server, stack, f"socket-{number}") for number in range(20)]
        server.signal(SIGTERM)
        for number, wire in enumerate(wires):
            assert read_frame(wire).close == (1001, "going away")
            wire.send(close_frame(1001)).assert_closed()
            serve.gates.wait_marked(f"socket-{number}.ended")
        assert server.wait_exit() == 0
    assert serve.gates.marked("lifespan.ended")
    assert "ERROR" not in server.log and "Traceback" not in server.log


def test_a_client_that_does_not_answer_delays_the_end_by_its_part_of_the_time(serve: Serve) -> None:
    server = serve(*ASGI, "--graceful-timeout", "8")
    with ExitStack() as stack:
        wire = waiting(serve, server, stack, "mute")
        began = time.monotonic()
        server.signal(SIGTERM)
        assert read_frame(wire).close[0] == 1001
        serve.gates.wait_marked("mute.ended", within=1.8)
        assert server.wait_exit() == 0
        assert time.monotonic() - began < 7
        wire.assert_closed()
    assert serve.gates.marked("lifespan.ended")


def test_an_application_that_never_receives_does_not_keep_the_worker(serve: Serve) -> None:
    server = serve(*ASGI, "--graceful-timeout", "8", "--asgi-disconnect-grace-period", "1")
    with server.connect() as wire:
        upgrade(wire, "/deaf/x")
        server.signal(SIGTERM)
        assert read_frame(wire).close[0] == 1001
        assert server.wait_exit(within=7) == 0
    assert serve.gates.marked("lifespan.ended")


def test_a_reload_closes_with_1012_and_the_next_worker_takes_over(serve: Serve) -> None:
    server = serve(*ASGI)
    with ExitStack() as stack:
        wire = waiting(serve, server, stack, "old")
        old = server.workers()
        server.signal(SIGHUP)
        assert read_frame(wire).close == (1012, "service restart")
        # Who connects at once finds the new worker.
        with server.connect() as again:
            upgrade(again, "/echo/x")
            again.send(frame(TEXT, b"there?"))
            assert read_frame(again).payload == b"there?"
        wire.send(close_frame(1012)).assert_closed()
        server.wait_replaced(old, 1)
    assert serve.gates.marked("old.ended")
    assert serve.gates.marked("lifespan.ended")


def test_max_requests_closes_with_1012(serve: Serve) -> None:
    server = serve(*ASGI, "--max-requests", "3")
    with ExitStack() as stack:
        wire = waiting(serve, server, stack, "worn")
        old = server.workers()
        while old == server.workers():
            server.get("/")
        assert read_frame(wire).close == (1012, "service restart")
        wire.send(close_frame(1012)).assert_closed()
        server.wait_replaced(old, 1)
    assert serve.gates.marked("worn.ended")


def test_a_quick_end_says_goodbye_too(serve: Serve) -> None:
    server = serve(*ASGI)
    with ExitStack() as stack:
        wire = waiting(serve, server, stack, "quick")
        server.signal(SIGINT)
        assert read_frame(wire).close[0] == 1001
        wire.assert_closed()
        assert server.wait_exit() == 0
    assert "Traceback" not in server.log


def test_a_handshake_that_is_accepted_during_the_end_is_closed_at_once(serve: Serve) -> None:
    server = serve(*ASGI, "--log-level", "debug")
    with server.connect() as wire:
        wire.send(handshake("/late/latecomer"))
        serve.gates.wait_entered("latecomer")
        server.signal(SIGTERM)
        server.wait_log("Worker was told to finish")
        serve.gates.open("latecomer")
        assert wire.interim().status == 101
        assert read_frame(wire).close[0] == 1001
        wire.send(close_frame(1001)).assert_closed()
        assert server.wait_exit() == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_hundred_websockets_survive_nothing_but_lose_nothing(serve: Serve, loop: str) -> None:
    """What the server has taken before a reload is answered before the close frame."""
    pytest.importorskip(loop)
    server = serve(*ASGI, "--asgi-loop", loop)
    with ExitStack() as stack:
        wires = [stack.enter_context(server.connect()) for _ in range(100)]
        for number, wire in enumerate(wires):
            upgrade(wire, f"/echo/{number}")
            wire.send(frame(TEXT, b"%d" % number))
        for number, wire in enumerate(wires):
            assert read_frame(wire).payload == b"%d" % number
        server.signal(SIGHUP)
        for wire in wires:
            assert read_frame(wire).close[0] == 1012
            wire.send(close_frame(1012))
        for wire in wires:
            wire.assert_closed()
