"""What clients can make a server hold is bounded: bodies, disk for bodies and responses, memory for heads."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Serve, eventually, processes
from harness.wire import Wire, head

KIB, MIB = 1024, 1024 * 1024

EVERY_CLASS = pytest.mark.parametrize(
    ("app", "options"),
    [
        ("lab", ["-k", "sync"]),
        ("lab", ["-k", "gthread", "--threads", "4"]),
        ("asgi_lab", ["-k", "asgi"]),
    ],
    ids=["sync", "gthread", "asgi"],
)


def disk(*pids: int) -> int:
    """How many bytes the unlinked files of processes take."""
    total = 0
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if str(entry.readlink()).endswith("(deleted)"):
                    total += os.stat(entry).st_blocks * 512
            except OSError:
                continue
    return total


def begin_upload(wire: Wire, sent: int, length: int, target: str = "/no/such/path") -> None:
    wire.send(head(target, method="POST", fields=[("Content-Length", str(length))]) + b"u" * sent)


@EVERY_CLASS
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_has_a_limit_that_the_log_names(serve: Serve, app: str, options: list[str], declared: bool) -> None:
    server = serve(app, *options, *([] if declared else ["--limit-request-body", "1000000"]))
    with server.connect() as wire:
        if declared:
            # By default a gibibyte; the refusal comes before the first byte.
            begin_upload(wire, 0, (1 << 30) + 1)
        else:
            fields = [("Transfer-Encoding", "chunked")]
            wire.send(head("/length", method="POST", fields=fields))
            wire.send(b"%x\r\n" % 1_000_001 + b"c" * 1_000_001)
        assert wire.reply().status == 413
    server.wait_log(r"\[WARNING\] .*413.*limit_request_body, (1073741824|1000000) bytes")
    assert server.get("/").status == 200


def test_a_body_of_a_gibibyte_is_within_the_limit(serve: Serve, kind: str) -> None:
    server = serve("lab", kind=kind)
    with server.connect() as wire:
        fields = [("Content-Length", str(1 << 30)), ("Expect", "100-continue")]
        assert wire.send(head("/length", method="POST", fields=fields)).interim().status == 100


def test_under_uvicorns_names_a_body_has_no_limit_unless_set(serve: Serve) -> None:
    """uvicorn has none, and the application reads the body while it arrives."""
    for options, status in (([], 100), (["--limit-request-body", "1000"], 413)):
        server = serve("asgi_lab", "-k", "uvicorn.workers.UvicornWorker", *options)
        with server.connect() as wire:
            fields = [("Content-Length", str(1 << 31)), ("Expect", "100-continue")]
            wire.send(head("/echo", method="POST", fields=fields))
            assert (wire.interim() if status == 100 else wire.reply()).status == status


def test_the_bodies_of_a_worker_have_a_limit(serve: Serve, kind: str) -> None:
    server = serve("lab", "--limit-spool", str(MIB), kind=kind)
    [worker] = server.wait_workers(1)
    with server.connect() as first, server.connect() as second, server.connect() as third:
        begin_upload(first, 700 * KIB, 800 * KIB)
        eventually(lambda: disk(worker) >= 700 * KIB)
        begin_upload(second, 700 * KIB, 800 * KIB)
        reply = second.reply()
        assert reply.status == 503 and not reply.keeps_alive
        server.wait_log(r"\[WARNING\] .*503: .*limit_spool bytes")
        assert disk(worker) <= MIB
        # What fits into the memory needs no disk.
        assert server.post("/length", b"s" * 200_000).text == "200000"
        first.send(b"u" * 100 * KIB)
        assert first.reply().status == 404
        eventually(lambda: disk(worker) == 0)
        begin_upload(third, 800 * KIB, 800 * KIB, "/length")
        assert third.reply().text == str(800 * KIB)


def test_a_body_that_is_too_long_by_itself_is_refused_likewise(serve: Serve, kind: str) -> None:
    server = serve("lab", "--limit-spool", str(MIB), kind=kind)
    with server.connect() as wire:
        begin_upload(wire, 2 * MIB, 3 * MIB)
        assert wire.reply().status == 503
    assert server.get("/").status == 200


def test_the_bodies_of_all_workers_have_one_limit(serve: Serve, kind: str) -> None:
    server = serve("lab", "-w", "3", "--limit-spool", "0", "--limit-spool-total", str(MIB), kind=kind)
    workers = serve.wait_serving(server, 3)
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(9)]
        for client in clients:
            begin_upload(client, 300 * KIB, 400 * KIB)
        refused = []

        def settled() -> bool:
            for client in clients:
                if client not in refused and client.has_arrived():
                    refused.append(client)
            return len(refused) + disk(*workers) // (300 * KIB) == 9

        eventually(settled, what=lambda: f"{len(refused)} refused, {disk(*workers)} bytes on disk")
        assert disk(*workers) <= MIB and len(refused) in (7, 8)
        assert {client.reply().status for client in refused} == {503}
    server.wait_log("limit_spool_total bytes")
    eventually(lambda: disk(*workers) == 0)
    assert server.post("/length", b"l" * 700_000).text == "700000"


def test_a_worker_that_is_killed_gives_its_share_back(serve: Serve) -> None:
    server = serve("lab", "--limit-spool-total", str(MIB))
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        begin_upload(wire, 900 * KIB, 1000 * KIB)
        eventually(lambda: disk(worker) >= 900 * KIB)
        os.kill(worker, 9)
        [successor] = eventually(lambda: [pid for pid in server.workers() if pid != worker], within=20)
    assert successor != worker
    assert server.post("/length", b"l" * 900_000).text == "900000"


@pytest.mark.parametrize("view", ["block", "pieces"])
def test_responses_that_nobody_reads_have_a_limit(serve: Serve, view: str) -> None:
    """Whether the application gives them whole or in pieces: neither disk nor memory holds more."""
    server = serve("lab", "--limit-spool", str(4 * MIB), kind="gthread")
    [worker] = server.wait_workers(1)
    # So long that the allocator maps it and gives it back whole.
    size = 40 * MIB
    assert len(server.get(f"/{view}/{size}").body) == size
    before = processes.memory_kib(worker)["Rss"]
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect(receive_buffer=8192)) for _ in range(3)]
        for client in clients:
            client.request(f"/{view}/{size}")
        eventually(lambda: disk(worker) >= 2 * MIB)
        server.wait_log("limit_spool bytes")
        assert disk(worker) <= 4 * MIB
        # Four megabytes for each client, and what the allocator keeps.
        eventually(lambda: processes.memory_kib(worker)["Rss"] - before < 3 * 8 * 1024)
        assert server.get("/").text == "Hello, world!"
        [first, *_] = clients
        assert len(first.reply().body) == size
    eventually(lambda: disk(worker) == 0, what=lambda: f"no file is left: {disk(worker)}")
    assert len(server.get(f"/{view}/{size}").body) == size


def test_a_response_has_a_limit_of_its_own(serve: Serve) -> None:
    server = serve("lab", "--limit-response-spool", str(2 * MIB), kind="gthread")
    [worker] = server.wait_workers(1)
    with server.connect(receive_buffer=8192) as wire:
        wire.request(f"/block/{50 * MIB}").until(b"\r\n\r\n")
        eventually(lambda: disk(worker) >= MIB)
        assert disk(worker) <= 4 * MIB
        assert server.get("/").text == "Hello, world!"


UNFINISHED = b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X-Long: " + b"h" * 5000 + b"\r\n") * 11
HEAD_MEMORY = 1_000_000


@EVERY_CLASS
def test_unfinished_heads_have_a_limit_over_all_connections(serve: Serve, app: str, options: list[str]) -> None:
    server = serve(app, *options, "--limit-head-memory", str(HEAD_MEMORY))
    [worker] = server.wait_workers(1)
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(40)]
        for client in clients:
            client.send(UNFINISHED)
        server.wait_log(r"\[WARNING\] .*503: .*limit_head_memory bytes")
        refused = eventually(lambda: [client for client in clients if client.has_arrived()])
        # A head that arrived in pieces takes more memory than it has bytes, so fewer may be held.
        most = HEAD_MEMORY // len(UNFINISHED)
        eventually(lambda: sum(not client.has_arrived() for client in clients) <= most)
        assert {client.reply().status for client in refused} == {503}
        # A usual head is read also while others hold all there is, and in pieces.
        assert server.get("/").status == 200
        with server.connect() as wire:
            for piece in (b"GET / HT", b"TP/1.1\r\nHost: x\r\nX-A: ", b"a" * 8000, b"\r\n\r\n"):
                wire.send(piece)
            assert wire.reply().status == 200
    # Those that left have given theirs back.
    with server.connect() as wire:
        wire.send(UNFINISHED)
        assert wire.send(b"\r\n").reply().status == 200
    assert server.workers() == [worker]
