"""Memory is bounded: uploads go to a file, idle connections cost next to nothing, nothing leaks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import Serve, Server, eventually, processes
from harness.wire import chunk, head

MIB = 1024  # in KiB, the unit of /proc
SOAK = Path(__file__).parent.parent / "soak" / "run.py"


def rss(server: Server) -> int:
    [worker] = server.wait_workers(1)
    return processes.memory_kib(worker)["Rss"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_is_not_held_in_memory(serve: Serve, kind: str, chunked: bool) -> None:
    server = serve("lab", kind=kind)
    server.post("/length", b"x" * 1_000_000)
    before = rss(server)
    size, piece = 80_000_000, b"x" * 1_000_000
    with server.connect() as wire:
        if chunked:
            wire.send(head("/length", method="POST", fields=[("Transfer-Encoding", "chunked")]))
        else:
            wire.send(head("/length", method="POST", fields=[("Content-Length", str(size))]))
        for _ in range(size // len(piece)):
            wire.send(chunk(piece) if chunked else piece)
        if chunked:
            wire.send(chunk(b""))
        assert wire.patience(20).reply().text == str(size)
    assert rss(server) - before < 20 * MIB


def test_no_temporary_file_is_left(serve: Serve, kind: str) -> None:
    server = serve("lab", kind=kind)
    [worker] = server.wait_workers(1)
    before = sorted(processes.open_files(worker))
    with server.connect() as wire:
        wire.send(head("/length", method="POST", body=b"x" * 3_000_000) + b"x" * 2_000_000)
        eventually(lambda: len(processes.open_files(worker)) > len(before))
        spools = set(processes.open_files(worker)) - set(before)
        named = [path for path in spools if path.startswith("/") and not path.endswith("(deleted)")]
        assert named == [], "a crash must leave no file behind"
    eventually(lambda: len(processes.open_files(worker)) <= len(before))
    assert server.get().text == "Hello, world!"


def test_idle_connections_cost_next_to_nothing(serve: Serve, kind: str) -> None:
    server = serve("lab", kind=kind)
    wires = [server.connect() for _ in range(50)]
    for wire in wires:
        wire.get()
    before = rss(server)
    more = [server.connect() for _ in range(400)]
    for wire in more:
        wire.get()
    assert (rss(server) - before) / len(more) < 24, "KiB for a connection"
    for wire in [*wires, *more]:
        wire.close()


def test_requests_leave_nothing_behind(serve: Serve, kind: str) -> None:
    server = serve("lab", kind=kind)

    def ask(number: int) -> None:
        with server.connect() as wire:
            for each in range(number):
                wire.send(head(f"/environ/{each}?q={each}", fields=[(f"X-Field-{each % 100}", "a" * 100)]))
                wire.reply()

    ask(3000)
    before = rss(server)
    ask(3000)
    assert rss(server) - before < 2 * MIB


def test_errors_leave_nothing_behind(serve: Serve, kind: str) -> None:
    server = serve("lab", "--log-level", "critical", kind=kind)

    def fail(number: int) -> None:
        for _ in range(number):
            server.get("/error/here")

    fail(300)
    before = rss(server)
    [worker] = server.wait_workers(1)
    files = len(processes.open_files(worker))
    fail(300)
    assert rss(server) - before < 2 * MIB
    assert len(processes.open_files(worker)) <= files + 1


def test_an_idle_server_does_nothing(serve: Serve, kind: str) -> None:
    """Kept connections and all, it wakes up seldom enough to use no measurable CPU."""
    server = serve("lab", "-w", "2", kind=kind)
    workers = serve.wait_serving(server, 2)
    serve.occupy(server, 2 if kind == "sync" else 8)
    wires = [server.connect() for _ in range(20)]
    for wire in wires:
        wire.get()

    def used() -> float:
        return sum(processes.cpu_seconds(pid) for pid in (*workers, server.pid))

    before, samples = used(), 0

    def enough() -> bool:
        nonlocal samples
        samples += 1
        return samples > 150

    eventually(enough)
    assert used() - before <= 0.05
    for wire in wires:
        wire.close()


@pytest.mark.parametrize("scenario", ["wsgi-sync", "asgi-asyncio"])
def test_no_manner_of_client_leaves_anything_behind(scenario: str) -> None:
    """The soak, whose clients also leave in the middle of everything, with fewer requests than `make soak`."""
    command = [sys.executable, str(SOAK), "--no-result", "--requests", "15000", "--scenarios", scenario]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
