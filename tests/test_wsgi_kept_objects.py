"""What belongs to a request ends with it: an application that keeps it cannot answer another client with it."""

from __future__ import annotations

import re

import pytest
from harness import Serve, Server, eventually, processes
from harness.wire import head


@pytest.fixture(scope="module")
def server(serve_module: Serve, kind: str) -> Server:
    # One thread, so that what one request used is used again by the next.
    options = ["--threads", "1"] if kind == "gthread" else []
    return serve_module("kept", *options, kind=kind)


CALLABLES = ["start_response", "write", "early_hints"]
WAYS = ["itself", "cell", "owner", "weak", "wrapper"]


@pytest.mark.parametrize("steal", ["steal", "steal_late"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CALLABLES)
def test_a_kept_callable_is_dead(server: Server, name: str, way: str, steal: str) -> None:
    assert server.get(f"/keep/{name}/{way}").text == "kept"
    with server.connect() as wire:
        reply = wire.get(f"/{steal}/{name}")
    assert (reply.status, reply.header("X-Stolen")) == (200, None)
    own, outcome = ("mine ", reply.text[5:]) if steal == "steal_late" else ("", reply.text)
    assert reply.text == own + outcome and outcome in ("RuntimeError", "dead")
    assert server.get("/").text == "Hello, world!"


def test_a_kept_socket_is_dead(server: Server) -> None:
    assert server.get("/keep/socket/itself").text == "kept"
    reply = server.get("/steal/socket")
    assert (reply.status, reply.text) == (200, "RuntimeError")


@pytest.mark.parametrize("body", [b"secret", b"secret" * 100_000])
def test_a_kept_input_is_closed(serve: Serve, kind: str, body: bytes) -> None:
    server = serve("kept", kind=kind)
    [worker] = server.wait_workers(1)
    assert server.post("/keep/input/itself", body).text == "kept"
    eventually(
        lambda: not any(re.fullmatch(r"/(?!memfd:).*\(deleted\)", name) for name in processes.open_files(worker)),
        what=lambda: f"no body is left: {processes.open_files(worker)}",
    )
    assert server.post("/steal/input", b"mine").text == "ValueError"


def test_an_empty_input_that_is_kept_stays_empty(server: Server) -> None:
    server.get("/keep/input/itself")
    assert server.post("/steal/input", b"mine").text in ("done", "ValueError")


def test_streams_over_a_kept_input_end_quietly(server: Server) -> None:
    assert server.post("/laid_over", b"secret").text == "kept"
    assert server.get("/let_go").json() == ["closed"]


def test_what_the_collector_finds_between_requests_is_dead(serve: Serve, kind: str) -> None:
    server = serve("kept", "--gc", "python", kind=kind)
    server.get("/collect")
    serve.gates.open("collect")
    serve.gates.wait_marked("collected")
    reply = server.get("/steal_found")
    assert (reply.status, reply.header("X-Stolen"), reply.json()) == (200, None, ["RuntimeError"])
    for _ in range(3):
        assert server.get("/seen").json() == [False, None]


def test_dictionaries_that_the_collector_finds_show_no_later_request(serve: Serve, kind: str) -> None:
    server = serve("kept", kind=kind)
    server.get("/keep_all")
    server.get("/spoil")
    for _ in range(3):
        assert server.get("/seen?secret").json() == [False, None]


@pytest.mark.parametrize("name", [*CALLABLES, "socket", "input"])
def test_a_thread_that_outlives_its_request_finds_it_over(serve: Serve, kind: str, name: str) -> None:
    """Its objects are dead while the same worker serves another client."""
    server = serve("kept", kind=kind)
    server.post(f"/background/{name}", b"secret")
    with server.connect() as wire:
        wire.send(head("/gate/other", method="POST", body=b"other") + b"other")
        serve.gates.wait_entered("other")
        serve.gates.open("background")
        serve.gates.wait_marked("outcome-ValueError" if name == "input" else "outcome-RuntimeError")
        serve.gates.open("other")
        reply = wire.reply()
    assert (reply.status, reply.text) == (200, "other")
    assert server.get("/").text == "Hello, world!"
