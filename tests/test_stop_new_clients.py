"""While a server stops, a client is served or refused: never is a connection accepted and then reset."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM

import pytest
from harness import Load, Serve, Server, Wire, eventually, free_port

#: A client that comes in the moment in which the queue is closed tries again, after a second.
REFUSED = re.compile("ConnectionRefusedError")


def begin(serve: Serve, server: Server, stack: ExitStack, name: str = "long") -> Wire:
    """A request that lasts until its gate opens."""
    wire = stack.enter_context(server.connect())
    wire.request(f"/gate/{name}")
    serve.gates.wait_entered(name)
    return wire


def is_refused(server: Server) -> bool:
    """Try as a client: served, or refused. Everything else is an error."""
    try:
        with server.connect() as wire:
            assert wire.get("/").status == 200
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("family", ["tcp", "unix"])
@pytest.mark.parametrize("options", [("-w", "1"), ("-w", "3"), ("-w", "2", "--reuse-port")], ids=" ".join)
@pytest.mark.parametrize("worker", ["gthread", "asgi"])
def test_with_free_threads_the_next_client_is_refused(
    serve: Serve, tmp_path: Path, worker: str, options: tuple[str, ...], family: str
) -> None:
    if family == "unix" and "--reuse-port" in options:
        pytest.skip("a Unix socket has one queue")
    app = "asgi_lab" if worker == "asgi" else "lab"
    bind = f"unix:{tmp_path}/sock" if family == "unix" else "127.0.0.1"
    server = serve(app, "-k", worker, "--threads", "4", *options, bind=bind)
    with ExitStack() as stack:
        long = begin(serve, server, stack)
        server.signal(SIGTERM)
        server.wait_log("Handling signal: term")
        eventually(lambda: is_refused(server), what="the listeners are closed")
        assert all(is_refused(server) for _ in range(10))
        assert server.running, "the request is still there"
        serve.gates.open("long")
        assert long.reply().status == 200
    assert server.wait_exit() == 0


def test_without_a_free_thread_the_next_client_waits_for_one(serve: Serve) -> None:
    server = serve("lab", "-w", "1", kind="sync")
    with ExitStack() as stack:
        long = begin(serve, server, stack)
        server.signal(SIGTERM)
        server.wait_log("Handling signal: term")
        late = [stack.enter_context(server.connect()).request("/pid") for _ in range(10)]
        serve.gates.open("long")
        assert long.reply().status == 200
        assert [wire.reply().status for wire in late] == [200] * 10
    assert server.wait_exit() == 0


def test_a_client_for_whom_no_thread_becomes_free_gets_an_answer(serve: Serve) -> None:
    server = serve("lab", "-w", "1", "--graceful-timeout", "4", kind="sync")
    with ExitStack() as stack:
        wire = stack.enter_context(server.connect())
        wire.request("/stubborn/never")
        serve.gates.wait_entered("never")
        late = [stack.enter_context(server.connect()).request("/pid") for _ in range(3)]
        server.signal(SIGTERM)
        replies = [wire.patience(20).reply() for wire in late]
        assert [reply.status for reply in replies] == [503] * 3
        assert "comes to its end" in replies[0].text
        # The queue was closed before.
        assert is_refused(server)
    assert server.wait_exit() == 0


@pytest.mark.parametrize("options", [("-w", "1"), ("-w", "2"), ("-w", "2", "--reuse-port")], ids=" ".join)
@pytest.mark.parametrize("worker", ["sync", "gthread", "asgi"])
def test_a_storm_of_clients_sees_no_reset(serve: Serve, worker: str, options: tuple[str, ...]) -> None:
    app = "asgi_lab" if worker == "asgi" else "lab"
    server = serve(app, "-k", worker, "--threads", "4", *options)
    with Load(server, clients=6, keep_alive=False) as load:
        eventually(lambda: load.total > 50)
        assert server.stop() == 0
    assert [failure for failure in load.failures if not REFUSED.match(failure)] == []


def test_a_quick_stop_refuses_as_well(serve: Serve) -> None:
    server = serve("lab", "-k", "gthread", "--threads", "4")
    with ExitStack() as stack:
        wire = stack.enter_context(server.connect())
        wire.request("/stubborn/never")
        serve.gates.wait_entered("never")
        server.signal(SIGTERM).wait_log("Handling signal: term")
        server.signal(SIGINT)
        assert server.wait_exit() == 0
    assert is_refused(server)


def test_a_socket_that_was_passed_keeps_its_clients(serve: Serve) -> None:
    """Another server may get it next: the client waits in its queue."""
    with socket.create_server(("127.0.0.1", 0)) as passed, ExitStack() as stack:
        options = ("lab", "-k", "gthread", "--threads", "4", "--bind", f"fd://{passed.fileno()}")
        first = serve(*options, bind=None, ready=False, pass_fds=(passed.fileno(),))
        first.address = passed.getsockname()
        first.wait_ready()
        long = begin(serve, first, stack)
        first.signal(SIGTERM).wait_log("Handling signal: term")
        late = stack.enter_context(first.connect())
        serve.gates.open("long")
        assert long.reply().status == 200
        assert first.wait_exit() == 0
        second = serve(*options, bind=None, ready=False, pass_fds=(passed.fileno(),))
        # It was served by the first server if that was still looking, else by the second.
        assert late.patience(20).get("/").status == 200
        assert second.stop() == 0


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_an_address_that_a_reload_gives_up_resets_nobody(serve: Serve, write, worker: str) -> None:
    kept, given_up = free_port(), free_port()
    settings = f"worker_class = '{worker}'\nthreads = 2\nworkers = 2\n"
    conf = write("conf.py", f"bind = ['127.0.0.1:{kept}', '127.0.0.1:{given_up}']\n{settings}")
    server = serve("lab", "-c", str(conf), bind=None, ready=False)
    server.address = ("127.0.0.1", given_up)
    old = server.wait_ready().wait_workers(2)
    with Load(server, clients=6, keep_alive=False) as load:
        eventually(lambda: load.total > 50)
        conf.write_text(f"bind = '127.0.0.1:{kept}'\n{settings}")
        server.signal(SIGHUP).wait_replaced(old, 2)
        eventually(lambda: any(map(REFUSED.match, load.failures)), what="the address is given up")
    assert [failure for failure in load.failures if not REFUSED.match(failure)] == []
    server.address = ("127.0.0.1", kept)
    assert server.get("/").status == 200
    assert server.stop() == 0
