"""Recycling after `--max-requests` costs no request, and the successor serves first."""

from __future__ import annotations

import re
from collections import defaultdict

from harness import Load, Serve, better, eventually, parity


def served(load: Load) -> dict[int, int]:
    """How many requests each process has served, by its own count."""
    highest: dict[int, int] = defaultdict(int)
    for answer in list(load.answers):
        pid, _, count = answer.partition(":")
        highest[int(pid)] = max(highest[int(pid)], int(count))
    return highest


@parity
def test_no_request_fails(serve: Serve, kind: str) -> None:
    server = serve("lab", "-w", "2", "--max-requests", "100", kind=kind)
    with Load(server, clients=6, target="/count") as load:
        eventually(lambda: len(served(load)) >= 6, within=40, what=lambda: str(served(load)))
    assert load.failures == []


@parity
def test_without_keep_alive_neither(serve: Serve, kind: str) -> None:
    server = serve("lab", "-w", "2", "--max-requests", "50", kind=kind)
    with Load(server, clients=6, target="/count", keep_alive=False) as load:
        eventually(lambda: len(served(load)) >= 6, within=40, what=lambda: str(served(load)))
    assert load.failures == []


@better
def test_the_successor_serves_before_the_old_one_leaves(serve: Serve, kind: str) -> None:
    server = serve("lab", "-w", "1", "--max-requests", "50", kind=kind)
    [first] = server.wait_workers(1)
    with Load(server, clients=2, target="/count") as load:
        eventually(lambda: len(served(load)) >= 3, within=30)
    assert load.failures == []
    lines = server.log.splitlines()
    booted = [n for n, line in enumerate(lines) if "Booting worker with pid" in line]
    left = [n for n, line in enumerate(lines) if f"Worker exiting (pid: {first})" in line]
    assert booted[1] < left[0], server.log


@parity
def test_a_worker_serves_about_as_many_as_it_may(serve: Serve, kind: str) -> None:
    server = serve("lab", "-w", "1", "--max-requests", "200", kind=kind)
    with Load(server, clients=1, target="/count") as load:
        eventually(lambda: len(served(load)) >= 4, within=40)
    for count in list(served(load).values())[:3]:
        # It goes on until its successor is ready, so the number is a lower bound.
        assert count >= 199


@parity
def test_never_more_than_one_recycles(serve: Serve) -> None:
    """All four reach their number at about the same time; still only one is away at a time."""
    server = serve("lab", "-w", "4", "--max-requests", "60", kind="sync")
    server.wait_workers(4)
    highest = [0]

    def enough() -> bool:
        highest[0] = max(highest[0], len(server.workers()))
        return len(served(load)) >= 10

    with Load(server, clients=6, target="/count", keep_alive=False) as load:
        eventually(enough, within=60, what=lambda: str(served(load)))
    assert load.failures == []
    assert highest[0] <= 5, "four and one successor"


@parity
def test_jitter_spreads_the_numbers(serve: Serve) -> None:
    server = serve("lab", "-w", "1", "--max-requests", "20", "--max-requests-jitter", "400", kind="sync")
    with Load(server, clients=1, target="/count") as load:
        eventually(lambda: len(served(load)) >= 6, within=60)
    counts = list(served(load).values())[:5]
    assert max(counts) - min(counts) > 20, counts


@parity
def test_a_kept_connection_is_told(serve: Serve, kind: str) -> None:
    """A client that never repeats a request loses none either: it hears `close` first."""
    server = serve("lab", "-w", "2", "--max-requests", "100", kind=kind)
    with Load(server, clients=4, target="/count", strict=True) as load:
        eventually(lambda: len(served(load)) >= 5, within=40)
    assert load.failures == []


@parity
def test_it_is_said_in_the_log(serve: Serve) -> None:
    server = serve("lab", "--max-requests", "5", kind="sync")
    [worker] = server.wait_workers(1)
    for _ in range(6):
        server.get()
    server.wait_replaced([worker], 1)
    assert re.search(rf"Worker exiting \(pid: {worker}\)", server.log)
