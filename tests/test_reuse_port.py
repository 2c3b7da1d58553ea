"""`--reuse-port` gives the kernel a queue for each worker, and no client is lost in any of them."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM, SIGUSR2

from harness import Load, Serve, Server, eventually, processes

#: More clients than one queue of two gets by chance.
CLIENTS = 24


def queues(server: Server) -> int:
    """How many sockets listen on the server's port."""
    listening, _ = processes.tcp_sockets(server.address[1])
    return len(listening)


def test_each_worker_has_a_queue(serve: Serve) -> None:
    server = serve("lab", "-w", "3", "--reuse-port")
    assert queues(server) == 3
    assert server.log.count("Listening at") == 1
    other = serve("lab", "-w", "3")
    assert queues(other) == 1


def test_nobody_waits_in_the_queue_of_a_busy_worker(serve: Serve) -> None:
    server = serve("lab", "-w", "2", "--reuse-port")
    serve.wait_serving(server, 2)
    with server.connect() as busy:
        busy.request("/gate/busy")
        serve.gates.wait_entered("busy")
        # The kernel has put about half of them in the queue of the worker that is busy.
        for _ in range(CLIENTS):
            assert server.get("/").status == 200
        serve.gates.open("busy")
        assert busy.reply().status == 200


def test_those_who_wait_survive_the_death_of_all_workers(serve: Serve) -> None:
    server = serve("lab", "-w", "2", "--reuse-port")
    old = serve.wait_serving(server, 2)
    with ExitStack() as stack:
        for name in ("one", "two"):
            stack.enter_context(server.connect()).request(f"/gate/{name}")
            serve.gates.wait_entered(name)
        waiting = [stack.enter_context(server.connect()).request("/") for _ in range(CLIENTS)]
        for pid in old:
            os.kill(pid, SIGKILL)
        assert [wire.patience(20).reply().status for wire in waiting] == [200] * CLIENTS


def test_reloads_under_load_lose_nothing(serve: Serve) -> None:
    server = serve("lab", "-w", "2", "--reuse-port")
    serve.wait_serving(server, 2)
    with Load(server, clients=8, keep_alive=False) as load:
        for _ in range(3):
            old = server.workers()
            server.signal(SIGHUP)
            server.wait_replaced(old, 2)
            seen = load.total
            eventually(lambda: load.total > seen + 50, what="requests after the reload")  # noqa: B023
    assert load.failures == []
    assert queues(server) == 2


def test_an_upgrade_takes_all_queues_over(serve: Serve, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    server = serve("lab", "-w", "2", "--reuse-port", "--pid", str(pidfile))
    with Load(server, clients=4, keep_alive=False) as load:
        server.signal(SIGUSR2)
        second = tmp_path / "pid.2"
        eventually(second.exists, within=20, what=lambda: server.log)
        server.wait_log("Booting worker", times=4, within=20)
        server.signal(SIGTERM).wait_exit()
        seen = load.total
        eventually(lambda: load.total > seen + 50, what="requests of the new master")
    assert load.failures == []
    assert queues(server) == 2
