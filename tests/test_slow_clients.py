"""No client holds a Python thread by being slow: the next one is answered at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from harness import Serve, Server, Wire
from harness.wire import head

#: "At once", on a machine that does other things as well; a held thread never answers.
AT_ONCE_S = 2.0


@pytest.fixture
def server(serve: Serve, kind: str) -> Server:
    return serve("lab", "-w", "1", kind=kind)


@pytest.fixture
def crowd(server: Server) -> Iterator[Callable[..., list[Wire]]]:
    """Many connections that sent the same beginning."""
    with ExitStack() as stack:

        def crowd(count: int, beginning: bytes = b"", **options: int) -> list[Wire]:
            wires = [stack.enter_context(server.connect(**options)) for _ in range(count)]
            for wire in wires:
                wire.send(beginning)
            return wires

        yield crowd


def answers_at_once(server: Server) -> None:
    for _ in range(3):
        begun = time.monotonic()
        assert server.get("/pid").status == 200
        assert time.monotonic() - begun < AT_ONCE_S


def test_idle_connections(server: Server, crowd) -> None:
    crowd(50)
    answers_at_once(server)


def test_kept_connections(server: Server, crowd) -> None:
    for wire in crowd(50, head()):
        wire.reply()
    answers_at_once(server)


def test_half_a_head(server: Server, crowd) -> None:
    crowd(50, b"GET / HTTP/1.1\r\nHost: test.exam")
    answers_at_once(server)


def test_half_a_body(server: Server, crowd) -> None:
    crowd(50, head("/length", method="POST", body=b"x" * 1000) + b"x" * 500)
    answers_at_once(server)


def test_half_a_chunk(server: Server, crowd) -> None:
    fields = [("Transfer-Encoding", "chunked")]
    crowd(50, head("/length", method="POST", fields=fields) + b"400\r\nabc")
    answers_at_once(server)


@pytest.mark.parametrize("target", ["/block/16000000", "/pieces/800000"])
def test_readers_that_do_not_read(server: Server, crowd, target: str) -> None:
    """A body in one piece of any size, a generator's up to the bound at which it waits."""
    crowd(10, head(target), receive_buffer=4096)
    answers_at_once(server)


def test_slow_clients_are_served_in_the_end(server: Server, crowd) -> None:
    wires = crowd(20, head("/length", method="POST", body=b"x" * 1000) + b"x" * 500)
    answers_at_once(server)
    for wire in wires:
        assert wire.send(b"x" * 500).reply().text == "1000"


def test_bytewise_requests(server: Server) -> None:
    with server.connect() as wire:
        request = head("/length", method="POST", body=b"x" * 100) + b"x" * 100
        assert wire.send_bytewise(request).reply().text == "100"
