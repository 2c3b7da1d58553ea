"""HUP with another `bind`: what overlaps loses no client, and what cannot be bound changes nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP

import pytest
from harness import Load, Serve, Wire, eventually, free_port

Write = Callable[[str, str], Path]


def test_from_one_address_to_all_and_back_loses_nothing(serve: Serve, write: Write) -> None:
    port = free_port()
    conf = write("conf.py", f"bind = '127.0.0.1:{port}'\nworkers = 2\n")
    server = serve("lab", "-c", str(conf), bind=None, ready=False)
    server.address = ("127.0.0.1", port)
    server.wait_ready()
    elsewhere = ("127.0.0.2", port)
    with pytest.raises(ConnectionRefusedError):
        Wire(elsewhere)
    with Load(server, clients=4, keep_alive=False) as load:
        for host, reachable in [("0.0.0.0", True), ("127.0.0.1", False), ("0.0.0.0", True)]:
            old = server.wait_workers(2)
            conf.write_text(f"bind = '{host}:{port}'\nworkers = 2\n")
            server.signal(SIGHUP).wait_replaced(old, 2)
            eventually(lambda: connects(elsewhere) == reachable, what=host)  # noqa: B023
            seen = load.total
            eventually(lambda: load.total > seen + 50, what="requests afterwards")  # noqa: B023
    assert load.failures == []


def connects(address: tuple[str, int]) -> bool:
    try:
        Wire(address).close()
    except ConnectionRefusedError:
        return False
    return True


def test_an_address_that_is_taken_changes_nothing(serve: Serve, write: Write) -> None:
    port = free_port()
    conf = write("conf.py", f"bind = '127.0.0.1:{port}'\n")
    server = serve("lab", "-c", str(conf), bind=None, ready=False)
    server.address = ("127.0.0.1", port)
    workers = server.wait_ready().wait_workers(1)
    with socket.create_server(("127.0.0.1", 0)) as other, Load(server, clients=2) as load:
        taken = other.getsockname()[1]
        conf.write_text(f"bind = ['127.0.0.1:{port}', '127.0.0.1:{taken}']\nworkers = 3\n")
        server.signal(SIGHUP).wait_log(rf"127\.0\.0\.1:{taken} is already in use by pid")
        seen = load.total
        eventually(lambda: load.total > seen + 50, what="requests of the old")
    assert load.failures == []
    assert server.workers() == workers


def test_a_descriptor_of_the_servers_own_cannot_be_named(serve: Serve, write: Write) -> None:
    """`fd://N` means a socket that the server was started with: any other number is taken by what it opened itself."""
    port = free_port()
    conf = write("conf.py", f"bind = '127.0.0.1:{port}'\nstatsd_host = '127.0.0.1:{free_port()}'\n")
    server = serve("lab", "-c", str(conf), bind=None, ready=False)
    server.address = ("127.0.0.1", port)
    workers = server.wait_ready().wait_workers(1)
    descriptors = [entry.name for entry in Path(f"/proc/{server.pid}/fd").iterdir()]
    sockets = [number for number in descriptors if "socket" in str(Path(f"/proc/{server.pid}/fd/{number}").readlink())]
    assert len(sockets) >= 2, "a listener and the way to statsd"
    for number in sorted(descriptors, key=int):
        conf.write_text(f"bind = ['127.0.0.1:{port}', 'fd://{number}']\nworkers = 3\n")
        server.signal(SIGHUP).wait_log(rf"cannot listen on fd://{number}: it (is not a socket|was not open when)")
    assert server.workers() == workers
    assert server.get().status == 200


def test_a_descriptor_that_was_passed_can_be_named_later(serve: Serve, write: Write) -> None:
    port = free_port()
    conf = write("conf.py", f"bind = '127.0.0.1:{port}'\n")
    with socket.create_server(("127.0.0.1", 0)) as passed:
        number = passed.fileno()
        server = serve("lab", "-c", str(conf), bind=None, ready=False, pass_fds=(number,))
        server.address = ("127.0.0.1", port)
        old = server.wait_ready().wait_workers(1)
        conf.write_text(f"bind = ['127.0.0.1:{port}', 'fd://{number}']\n")
        server.signal(SIGHUP).wait_replaced(old, 1)
        address = passed.getsockname()
    with Wire(address) as wire:
        assert wire.get("/").status == 200
