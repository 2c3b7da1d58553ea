"""A request over `--request-timeout` is answered 504 on time; others go on, and a worker that is stuck is replaced."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import APPS, Serve, eventually
from harness.http2 import connect
from harness.wire import head
from test_http2 import H2C

LIMIT = ("--request-timeout", "1", "--timeout", "60")

Write = Callable[[str, str], Path]


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_a_request_over_its_limit_is_answered_and_told_of(serve: Serve, kind: str, tmp_path: Path) -> None:
    access = tmp_path / "access.log"
    server = serve("lab", *LIMIT, "--access-logfile", str(access), kind=kind)
    workers = server.wait_workers(1)
    with server.connect() as wire:
        begun = time.monotonic()
        wire.request("/gate/slow?a=b")
        reply = wire.patience(10).reply()
        assert 0.9 < time.monotonic() - begun < 6
        assert (reply.status, reply.keeps_alive) == (504, False)
        wire.assert_closed()
    server.wait_log(
        r"\[ERROR\] No answer within \d\.\d s: GET /gate/slow\?a=b, from 127\.0\.0\.1:\d+; its client got 504"
    )
    serve.gates.open("slow")
    # The thread comes back, and serves on.
    assert server.get().text == "Hello, world!"
    assert eventually(lambda: re.findall(r'"GET /gate/slow\?a=b HTTP/1.1" (\d+) ', access.read_text())) == ["504"]
    assert server.workers() == workers


@pytest.mark.parametrize("view", ["gate", "spin", "stubborn"])
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_a_worker_with_a_stuck_thread_is_replaced_when_its_others_are_done(serve: Serve, kind: str, view: str) -> None:
    server = serve("lab", *LIMIT, "--request-timeout-path", "/gate/other=0", kind=kind)
    workers = server.wait_workers(1)
    with server.connect() as wire, server.connect() as other:
        if kind == "gthread":
            other.request("/gate/other")
            serve.gates.wait_entered("other")
        wire.request(f"/{view}/stuck")
        assert wire.patience(10).reply().status == 504
        server.wait_log(rf"A thread is stuck: .* \(pid: {workers[0]}\)")
        if kind == "gthread":
            eventually(lambda: len(server.workers()) == 2)
            serve.gates.open("other")
            assert other.reply().status == 200
    # It does not wait for graceful_timeout.
    server.wait_log(rf"WORKER TIMEOUT \(pid:{workers[0]}\)", within=15)
    server.wait_replaced(workers, 1)
    assert server.get().text == "Hello, world!"


def test_a_view_in_c_is_answered_and_its_worker_replaced(serve: Serve, write: Write) -> None:
    """One call into C that keeps the GIL: no handler of Python's runs, and no thread."""
    write(
        "deaf.py",
        """
        import lab
        def application(environ, start_response):
            if environ["PATH_INFO"] == "/deaf":
                sum(range(10**12))
            return lab.plain(start_response, b"heard")
        """,
    )
    server = serve("deaf", *LIMIT, "--pythonpath", str(APPS), cwd=serve.folder, kind="gthread")
    workers = server.wait_workers(1)
    with server.connect() as wire:
        begun = time.monotonic()
        wire.request("/deaf")
        assert wire.patience(10).reply().status == 504
        assert time.monotonic() - begun < 5
    server.wait_replaced(workers, 1)
    assert server.get().text == "heard"


def test_a_client_that_was_told_to_send_its_body_is_answered(serve: Serve, write: Write) -> None:
    """100 (Continue) is no part of the response."""
    write(
        "reads.py",
        """
        import asgi_lab
        async def application(scope, receive, send):
            if scope["type"] == "http":
                await asgi_lab.whole(receive)
                await asgi_lab.wait_at("never")
        """,
    )
    server = serve("reads", "-k", "asgi", *LIMIT, "--pythonpath", str(APPS), cwd=serve.folder)
    with server.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert wire.interim().status == 100
        wire.send(b"abc")
        assert wire.patience(10).reply().status == 504


def test_the_longest_prefix_of_the_path_decides(serve: Serve) -> None:
    paths = ("--request-timeout-path", "/gate/=0", "--request-timeout-path", "/gate/short=0.3")
    server = serve("lab", "--request-timeout", "0.5", *paths, kind="gthread")
    with server.connect() as long, server.connect() as short:
        long.request("/gate/long")
        serve.gates.wait_entered("long")
        short.request("/gate/short")
        assert short.patience(10).reply().status == 504
        serve.gates.open("short")
        time.sleep(0.5)  # Longer than the usual limit, with the time before.
        assert not long.has_arrived()
        serve.gates.open("long")
        assert long.reply().status == 200


def test_the_time_runs_anew_with_each_piece_of_a_response(serve: Serve, write: Write) -> None:
    write(
        "drips.py",
        """
        import time, lab
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            for _ in range(6):
                yield b"drop"
                time.sleep(0.25)
            if environ["PATH_INFO"] == "/dry":
                lab.wait_at("dry")
        """,
    )
    server = serve("drips", *LIMIT, "--pythonpath", str(APPS), cwd=serve.folder, kind="gthread", probe="/")
    assert server.get("/").text == "drop" * 6
    with server.connect() as wire:
        wire.request("/dry")
        received = wire.patience(10).rest_or_reset()
    assert received.startswith(b"HTTP/1.1 200") and received.count(b"drop") == 6
    assert not received.endswith(b"0\r\n\r\n")
    server.wait_log("GET /dry, .*; its response is cut off")
    serve.gates.open("dry")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_task_of_an_asgi_request_is_cancelled(serve: Serve, write: Write, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    write(
        "tasks.py",
        """
        import asyncio, lab
        async def application(scope, receive, send):
            if scope["path"] == "/wait":
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    lab.mark("cancelled")
                    raise
            if scope["path"] == "/block":
                sum(range(10**12))
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
        """,
    )
    options = (*LIMIT, "-k", "asgi", "--asgi-loop", loop, "--pythonpath", str(APPS))
    server = serve("tasks", *options, cwd=serve.folder)
    workers = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/wait")
        assert wire.patience(10).reply().status == 504
    eventually(lambda: serve.gates.marked("cancelled"))
    assert server.get().text == "ok"
    assert server.workers() == workers
    assert "Traceback" not in server.log
    with server.connect() as wire:
        wire.request("/block")
        assert wire.patience(10).reply().status == 504
    server.wait_log("The event loop is stuck")
    server.wait_replaced(workers, 1)
    assert server.get().text == "ok"


def test_a_websocket_has_no_limit_once_it_is_accepted(serve: Serve) -> None:
    websockets = pytest.importorskip("websockets.sync.client")
    server = serve("ws_lab:application", "-k", "asgi", *LIMIT)
    with websockets.connect(f"{server.url.replace('http', 'ws', 1)}/echo/x") as socket:
        time.sleep(1.5)  # Longer than the limit.
        socket.send("still here")
        assert socket.recv() == "still here"
    assert "No answer" not in server.log


def test_the_greenlet_of_a_request_gets_an_exception(serve: Serve) -> None:
    pytest.importorskip("gevent")
    server = serve("gevent_lab:app", "-k", "gevent", *LIMIT)
    workers = server.wait_workers(1)
    with server.connect() as wire, server.connect() as other:
        wire.request("/gate/a")
        assert wire.patience(10).reply().status == 504
        server.wait_log("No answer within")
        other.request("/")
        assert other.reply().status == 200
    assert server.workers() == workers


def test_a_504_ends_one_stream_of_http2(serve: Serve) -> None:
    server = serve("lab", "--request-timeout-path", "/gate/slow=0.5", *H2C, kind="gthread")
    assert isinstance(server.address, tuple)
    with connect(*server.address[:2]) as client:
        slow = client.begin("/gate/slow")
        long = client.begin("/gate/long")
        assert client.wait(slow).status == 504
        serve.gates.open("slow")
        serve.gates.open("long")
        assert client.wait(long).status == 200
        assert client.get("/").text == "Hello, world!"


@pytest.mark.parametrize("value", ["gate=3", "/gate", "/gate=soon"])
def test_a_path_limit_that_is_none_is_refused_by_name(serve: Serve, value: str) -> None:
    refusal = serve.refused("lab", "--request-timeout-path", value)
    assert refusal.code == 1
    assert "--request-timeout-path" in refusal.text and "PREFIX=SECONDS" in refusal.text
    assert value in refusal.text


def test_a_head_request_gets_no_body(serve: Serve) -> None:
    server = serve("lab", *LIMIT, kind="gthread")
    with server.connect() as wire:
        wire.send(head("/gate/slow", method="HEAD"))
        received = wire.patience(10).rest_or_reset()
    assert received.startswith(b"HTTP/1.1 504") and received.endswith(b"\r\n\r\n")
    serve.gates.open("slow")
