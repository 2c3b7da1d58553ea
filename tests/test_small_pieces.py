"""A response in many small pieces to a client that does not read costs other clients of its worker next to nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness import KINDS, Serve, Server, Wire, eventually, processes
from harness.frames import handshake, read_frame, upgrade
from harness.wire import head

WORKERS = {**KINDS, "asgi": ["-k", "asgi"]}

#: How long another client may wait, on a machine that does other things as well. The time to make the pieces is part
#: of it where they are made on the only thread; what was quadratic took half a minute.
AT_ONCE_S = 4.0
#: Processor time that a worker may use for pieces that no client takes; linear in bytes it is well below a second.
CPU_S = 5.0
#: What a worker may grow by for one client that does not read: the bound for one response, and what the allocator has.
GROWTH_KB = 8 * 1024
#: How long the responses are looked at: until a worker has used no more processor time for so long.
QUIET_S = 0.5


def start(serve: Serve, kind: str, *options: str) -> Server:
    app = "small_pieces:asgi" if kind == "asgi" else "small_pieces:wsgi"
    return serve(app, *WORKERS[kind], "-w", "1", *options)


def resident_kb(pid: int) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])


def settled(pid: int) -> None:
    """Wait until the worker has nothing more to do."""
    last, since = processes.cpu_seconds(pid), time.monotonic()

    def is_quiet() -> bool:
        nonlocal last, since
        now = processes.cpu_seconds(pid)
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > QUIET_S

    eventually(is_quiet, within=120, what="a worker that has come to rest")


def hold(server: Server, request: bytes, *, readers: int = 1, grows_kb: int = GROWTH_KB) -> list[Wire]:
    """Have clients ask and not read, and check what another one and the worker feel of it."""
    [pid] = server.workers()
    with server.connect() as other:
        assert other.get().text == "Hello, world!"
        spent, held = processes.cpu_seconds(pid), resident_kb(pid)
        wires = [server.connect(receive_buffer=4096).send(request) for _ in range(readers)]
        worst = 0.0
        for _ in range(20):
            begun = time.monotonic()
            assert other.patience(120).get().text == "Hello, world!"
            worst = max(worst, time.monotonic() - begun)
        assert worst < AT_ONCE_S
        settled(pid)
        assert processes.cpu_seconds(pid) - spent < CPU_S
        assert resident_kb(pid) - held < grows_kb
    return wires


@pytest.mark.parametrize("form", ["chunked", "length"])
@pytest.mark.parametrize("kind", WORKERS)
def test_a_body_in_small_pieces(serve: Serve, kind: str, form: str) -> None:
    server = start(serve, kind)
    [wire] = hold(server, head(f"/{form}/200000/20"))
    reply = wire.patience(60).reply()
    assert reply.complete and reply.body == b"x" * 4_000_000


@pytest.mark.parametrize("kind", WORKERS)
def test_a_body_in_single_bytes(serve: Serve, kind: str) -> None:
    hold(start(serve, kind), head("/length/300000/1"))


@pytest.mark.parametrize("kind", WORKERS)
def test_a_body_that_is_spooled_arrives_whole(serve: Serve, kind: str) -> None:
    """In memory, then on disk, where that is allowed, else in memory up to the bound."""
    for options in ((), ("--limit-response-spool", "0")):
        if kind == "sync" and options:
            continue  # Its only thread waits for the client, as it should.
        server = start(serve, kind, *options)
        [wire] = hold(server, head("/chunked/120000/100"))
        reply = wire.patience(60).reply()
        assert reply.complete and reply.body == b"x" * 12_000_000


@pytest.mark.parametrize("kind", ["gthread", "asgi"])
def test_early_hints(serve: Serve, kind: str) -> None:
    """Interim responses are bounded as a body is: a thread or a task waits for the client to take them."""
    hold(start(serve, kind), head("/hints/200000/20"))


def test_trailers(serve: Serve) -> None:
    hold(start(serve, "asgi"), head("/trailers/200000/20", fields=[("TE", "trailers")]))


def test_messages_of_one_byte(serve: Serve) -> None:
    server = start(serve, "asgi")
    [wire] = hold(server, handshake("/messages/300000/1"))
    assert wire.patience(60).interim().status == 101
    for _ in range(1000):
        assert read_frame(wire).payload == b"x"


@pytest.mark.parametrize("kind", ["gthread", "asgi"])
def test_several_clients_that_do_not_read(serve: Serve, kind: str) -> None:
    hold(start(serve, kind), head("/chunked/50000/20"), readers=3, grows_kb=3 * GROWTH_KB)


@pytest.mark.parametrize("form", ["chunked", "length", "trailers"])
def test_a_task_that_never_waits_leaves_the_loop_to_others(serve: Serve, form: str) -> None:
    """The client reads as fast as it can, so that send() never has to wait for it."""
    server = start(serve, "asgi")
    with server.connect() as fast, server.connect() as other:
        other.get()
        fast.request(f"/{form}/400000/20", fields=[("TE", "trailers")])
        fast.until(b"\r\n\r\n")
        other.request()
        taken = 0
        while taken < 8_000_000 and not is_readable(other):
            taken += len(fast.receive())
        assert taken < 4_000_000, "the other client waited until the response was over"
        assert other.reply().text == "Hello, world!"


def is_readable(wire: Wire) -> bool:
    wire.socket.setblocking(False)
    try:
        wire.buffer += wire.socket.recv(65536)
    except BlockingIOError:
        return False
    finally:
        wire.patience(10)
    return True


def test_the_first_message_of_a_websocket_is_not_held_up(serve: Serve) -> None:
    server = start(serve, "asgi")
    with server.connect() as wire:
        upgrade(wire, "/messages/3/5")
        assert [read_frame(wire).payload for _ in range(3)] == [b"xxxxx"] * 3
