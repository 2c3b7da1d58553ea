"""What is soaked, and when it counts as leaking: requests of every kind, and WebSockets that are only there."""

from __future__ import annotations

import dataclasses
import multiprocessing
import pathlib
import random
import resource
import time
from collections.abc import Callable
from multiprocessing.queues import Queue

import visits
import worker

# The first tenth of the requests fills caches, pools and the allocator's arenas.
WARM_UP = 0.1
SAMPLES = 20
# What the memory may grow by after the warm-up, whatever the number of requests: the allocators' own unrest.
TOLERATED_KIB = 2048
CLIENTS = 4
# What an idle WebSocket may cost a worker; most of it is the application's task.
MOST_KIB_EACH = 10
# For how long idle WebSockets are watched.
IDLE_S = 5.0


@dataclasses.dataclass
class Finding:
    """What a scenario measured, and whether it is as it should be."""

    name: str
    facts: list[tuple[str, str]]
    passed: bool


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Something to soak: the application, the options of the server, and what is done to it."""

    name: str
    application: str
    options: list[str]
    run: Callable[[worker.Worker, int], tuple[list[tuple[str, str]], bool]]


def _client(address: visits.Address, seed: int, number: int, reports: Queue[int | str]) -> None:
    chance = random.Random(seed)
    done = 0
    try:
        while done < number:
            requests = visits.visit(address, chance)
            done += requests
            reports.put(requests)
    except (visits.Broken, OSError) as error:
        reports.put(f"client {seed}: {error}")


def _settled_files(served: worker.Worker, at_most: int) -> int:
    """The descriptors once the connections that were left are noticed and have lingered."""
    deadline = time.monotonic() + 30
    while (files := served.open_files()) > at_most and time.monotonic() < deadline:
        time.sleep(0.1)
    return files


def requests_of_every_kind(served: worker.Worker, number: int) -> tuple[list[tuple[str, str]], bool]:
    """Let clients visit until `number` requests are done; memory and descriptors must come to rest."""
    files_before = served.open_files()
    begun = time.monotonic()
    reports: Queue[int | str] = multiprocessing.Queue()
    share = number // CLIENTS
    clients = [
        multiprocessing.Process(target=_client, args=(served.address, seed, share, reports)) for seed in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    try:
        seen = _sampled(served, share * CLIENTS, reports)
    finally:
        for client in clients:
            client.kill()
            client.join()
    served.check()
    files_after = _settled_files(served, files_before)
    warm, last, most = seen[0], seen[-1], max(seen)
    facts = [
        ("requests", f"{share * CLIENTS:,}, in {time.monotonic() - begun:.0f} s"),
        ("memory after the warm-up", f"{warm:,} KiB"),
        ("memory at the end", f"{last:,} KiB ({last - warm:+,})"),
        ("most in between", f"{most:,} KiB"),
        ("samples", " ".join(f"{one - warm:+}" for one in seen)),
        ("descriptors before and after", f"{files_before} and {files_after}"),
    ]
    return facts, last - warm <= TOLERATED_KIB and files_after <= files_before


def _sampled(served: worker.Worker, number: int, reports: Queue[int | str]) -> list[int]:
    """The memory at the end of the warm-up and at even distances from there to the end."""
    done, seen = 0, []
    while done < number:
        report = reports.get(timeout=2 * visits.TIMEOUT_S)
        if isinstance(report, str):
            raise visits.Broken(report)
        done += report
        if done >= number * (WARM_UP + (1 - WARM_UP) * len(seen) / SAMPLES):
            seen.append(served.rss_kib())
    return seen


def _open_many(served: worker.Worker, number: int) -> list[visits.socket.socket]:
    connections = [visits.opened(served.address) for _ in range(number)]
    for connection in connections:
        visits.echoed(connection)
    return connections


def idle_websockets(served: worker.Worker, number: int) -> tuple[list[tuple[str, str]], bool]:
    """Open `number` WebSockets, use each once, let them be idle, use them again, close them, and do it twice more."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    facts, grown = [], []
    # What the first use of a WebSocket loads and the first connections allocate is not theirs.
    files = served.open_files()
    for connection in _open_many(served, 10):
        connection.close()
    files, empty = _settled_files(served, files), served.rss_kib()
    for turn in ("first", "second", "third"):
        connections = _open_many(served, number)
        full, ticks = served.rss_kib(), served.cpu_ticks()
        time.sleep(IDLE_S)
        busy_ms = (served.cpu_ticks() - ticks) * 10
        for connection in connections:
            visits.echoed(connection)
            connection.close()
        grown.append(full - empty)
        facts += [
            (f"{number:,} connections, {turn} time", f"{grown[-1]:,} KiB, {grown[-1] / number:.2f} KiB for each"),
            ("CPU while they are idle", f"{busy_ms} ms in {IDLE_S:.0f} s"),
        ]
        _settled_files(served, files)
    served.check()
    facts.append(("memory before, and after all are closed", f"{empty:,} and {served.rss_kib():,} KiB"))
    facts.append(("limit of open files", f"{hard:,}"))
    # The first time leaves the allocator's pages scattered. From then on, what is needed more was kept by something.
    flat = grown[2] - grown[1] <= TOLERATED_KIB and max(grown) <= MOST_KIB_EACH * number
    return facts, flat and served.open_files() <= files


ASGI = ["-k", "asgi", "--asgi-loop"]
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("wsgi-sync", "over_wsgi:app", ["-k", "sync"], requests_of_every_kind),
        Scenario("wsgi-gthread", "over_wsgi:app", ["-k", "gthread", "--threads", "4"], requests_of_every_kind),
        Scenario("asgi-asyncio", "over_asgi:app", [*ASGI, "asyncio"], requests_of_every_kind),
        Scenario("asgi-uvloop", "over_asgi:app", [*ASGI, "uvloop"], requests_of_every_kind),
        # A worker takes a thousand connections unless it is told otherwise.
        Scenario(
            "websockets",
            "over_asgi:app",
            [*ASGI, "asyncio", "--worker-connections", "100000"],
            idle_websockets,
        ),
    )
}


def soak(scenario: Scenario, number: int, folder: pathlib.Path) -> Finding:
    """Run one scenario; whatever went wrong is a finding too."""
    log = folder / f"{scenario.name}.log"
    try:
        with worker.serving(scenario.application, scenario.options, log) as served:
            facts, passed = scenario.run(served, number)
    except (visits.Broken, RuntimeError, OSError) as error:
        facts, passed = [("broken", str(error))], False
    said = log.read_text(errors="replace").strip() if log.exists() else ""
    if said:
        facts.append(("the server said", said[-2000:]))
    return Finding(scenario.name, facts, passed and not said)
