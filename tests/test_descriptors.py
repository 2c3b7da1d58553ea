"""Idle clients and the limit of open files: the application and new clients come first."""

from __future__ import annotations

import re
import resource
from contextlib import ExitStack

import pytest
from harness import KINDS, Serve, Server, eventually

APP = """
import json, os, resource

def look(path):
    if path == "/limit":
        return json.dumps(resource.getrlimit(resource.RLIMIT_NOFILE))
    if path.startswith("/open/"):
        files = [open(os.devnull) for _ in range(int(path.rpartition("/")[2]))]
        for file in files:
            file.close()
        return str(len(files))
    if path.startswith("/keep/"):
        KEPT.extend(open(os.devnull) for _ in range(int(path.rpartition("/")[2])))
        return str(len(KEPT))
    return "hello"

KEPT = []

def app(environ, start_response):
    body = look(environ["PATH_INFO"]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        body = look(scope["path"]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
"""

SERVED = {**{kind: ("app:app", *options) for kind, options in KINDS.items()}, "asgi": ("app:asgi", "-k", "asgi")}
#: What the tests let a server open.
LIMIT = 160


@pytest.fixture(params=SERVED)
def limited(request: pytest.FixtureRequest, serve: Serve, write) -> Server:
    """A server whose processes may open few files, and no more by their own will."""
    folder = write("app.py", APP).parent
    return serve(
        *SERVED[request.param], cwd=folder, prefix=("sh", "-c", f'ulimit -n {LIMIT}; exec "$@"', "sh"), ready=True
    )


def test_idle_clients_leave_the_application_its_descriptors(limited: Server) -> None:
    with ExitStack() as stack:
        clients = []
        for _ in range(2 * LIMIT):
            wire = stack.enter_context(limited.connect())
            assert wire.patience(5).get("/").text == "hello"
            clients.append(wire)
        with limited.connect() as wire:
            assert wire.patience(5).get("/open/20").text == "20"
        # The youngest are kept.
        assert clients[-1].get("/open/20").text == "20"
    assert len(re.findall(r"^\[.*\] \[(?:WARNING|ERROR)\] .*descriptor", limited.log, re.MULTILINE)) == 1


def test_clients_that_say_nothing_make_room_as_well(limited: Server) -> None:
    with ExitStack() as stack:
        for _ in range(2 * LIMIT):
            stack.enter_context(limited.connect())
        with limited.connect() as wire:
            assert wire.patience(5).get("/open/20").text == "20"


def test_what_the_application_keeps_is_taken_from_idle_clients(limited: Server) -> None:
    with ExitStack() as stack:
        for _ in range(LIMIT):
            assert stack.enter_context(limited.connect()).patience(5).get("/").text == "hello"
        for _ in range(3):
            with limited.connect() as wire:
                wire.patience(5).get("/keep/15")
            for _ in range(LIMIT):
                assert stack.enter_context(limited.connect()).patience(5).get("/").text == "hello"
        assert limited.get("/open/5").text == "5"
    complaints = re.findall(r"^\[.*\] \[(?:WARNING|ERROR)\] .*descriptor", limited.log, re.MULTILINE)
    assert len(complaints) <= 2, limited.log


def test_the_soft_limit_is_raised_for_the_connections_that_are_asked_for(serve: Serve, write) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2000:
        pytest.skip("the hard limit is low")
    folder = write("app.py", APP).parent
    server = serve("app:app", cwd=folder, prefix=("sh", "-c", 'ulimit -Sn 100; exec "$@"', "sh"))
    soft, hard = server.get("/limit").json()
    assert 1000 < soft < 2000
    assert hard == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    eventually(lambda: server.get("/open/200").text == "200")
    assert "worker_connections" not in server.log
