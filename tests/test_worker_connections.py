"""`worker_connections` holds for every worker class: idle ones make room, busy ones make others wait."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from harness import Serve, Server, Wire, eventually, processes, still

LIMIT = 3

#: The application and options of each class. Workers of each hold more connections than they have threads.
CLASSES = {
    "sync": ("lab", "-k", "sync"),
    "gthread": ("lab", "-k", "gthread", "--threads", "8"),
    "asgi": ("asgi_lab", "-k", "asgi"),
}


def accepted(server: Server) -> int:
    """How many connections the worker has."""
    [worker] = server.wait_workers(1)
    descriptors = set(processes.open_files(worker))
    _, connections = processes.tcp_sockets(server.address[1])
    return sum(f"socket:[{inode}]" in descriptors for inode in connections)


def waiting(server: Server) -> int:
    """How many clients wait in the accept queue."""
    listening, _ = processes.tcp_sockets(server.address[1])
    [listener] = listening.values()
    return int(listener[4].partition(":")[2], 16)


def start(serve: Serve, kind: str, limit: int = LIMIT) -> Server:
    """A server that has forgotten those who asked whether it is there."""
    server = serve(*CLASSES[kind], "--worker-connections", str(limit))
    eventually(lambda: accepted(server) == 0, what="no connection")
    return server


@pytest.mark.parametrize("kind", CLASSES)
def test_an_idle_connection_makes_room_for_a_new_one(serve: Serve, kind: str) -> None:
    server = start(serve, kind)
    with ExitStack() as stack:
        kept = [stack.enter_context(server.connect()) for _ in range(LIMIT)]
        for wire in kept:
            assert wire.get("/").status == 200
        assert accepted(server) == LIMIT
        with server.connect() as another:
            assert another.get("/").status == 200
            kept[0].assert_closed()
            assert accepted(server) == LIMIT
        assert kept[-1].get("/").status == 200


@pytest.mark.parametrize("kind", ["gthread", "asgi"])
def test_one_that_waits_is_taken_though_nothing_else_happens(serve: Serve, kind: str) -> None:
    """Room is made while the worker does not look at its listeners; it looks again by itself."""
    server = start(serve, kind, limit=1)
    with server.connect() as busy:
        busy.request("/gate/one")
        serve.gates.wait_entered("one", within=5)
        with server.connect() as last:
            last.patience(5).request("/")
            eventually(lambda: waiting(server) == 1)
            serve.gates.open("one")
            assert busy.reply().status == 200
            assert last.reply().status == 200


@pytest.mark.parametrize("kind", ["gthread", "asgi"])
def test_while_all_are_busy_a_new_one_waits(serve: Serve, kind: str) -> None:
    server = start(serve, kind)
    with ExitStack() as stack:
        busy: list[Wire] = []
        for name in ("one", "two", "three"):
            busy.append(stack.enter_context(server.connect()).request(f"/gate/{name}"))
            serve.gates.wait_entered(name)
        last = stack.enter_context(server.connect()).request("/gate/four")
        eventually(lambda: waiting(server) == 1, what="one in the kernel's queue")
        still(lambda: waiting(server) == 1, throughout=0.5, what="it waits in the kernel's queue")
        assert accepted(server) == LIMIT
        serve.gates.open("one")
        assert busy[0].reply().status == 200
        serve.gates.wait_entered("four")
        assert (waiting(server), accepted(server)) == (0, LIMIT)
        for name in ("two", "three", "four"):
            serve.gates.open(name)
        assert [wire.reply().status for wire in (*busy[1:], last)] == [200] * LIMIT
