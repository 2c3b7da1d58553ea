"""What one request of an ASGI application has, no later one gets, whatever the application keeps or changes."""

from __future__ import annotations

import json

import pytest
from harness import Serve, Server
from harness.frames import read_frame, upgrade

APPLICATION = """
    import json

    KEPT = []

    def spoil(thing):
        # Write into everything that can be written to, as deep as it goes.
        if isinstance(thing, dict):
            for value in list(thing.values()):
                spoil(value)
            thing["spoiled"] = True
        elif isinstance(thing, list):
            for value in thing:
                spoil(value)
            thing.append((b"x-spoiled", b"yes"))

    async def answer(send, text, status=200):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            scope["asgi"]["spoiled"] = True
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return await send({"type": "lifespan.shutdown.complete"})
        text = repr({key: value for key, value in scope.items() if key not in ("client", "headers")})
        text += repr([pair for pair in scope["headers"] if pair[0] != b"host"])
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": text})
            await send({"type": "websocket.close"})
            return spoil(scope)
        if scope["path"] == "/keep":
            KEPT.append((scope, receive, send))
            return await answer(send, "kept")
        if scope["path"] == "/keep-open":
            KEPT.append((scope, receive, send))
            return
        if scope["path"] == "/abuse":
            outcomes = []
            for kept, old_receive, old_send in KEPT:
                kept["path"] = "/elsewhere"
                for message in (
                    {"type": "http.response.start", "status": 299, "headers": [(b"x-stolen", b"1")]},
                    {"type": "http.response.body", "body": b"stolen", "more_body": True},
                    {"type": "http.response.body", "body": b"stolen"},
                ):
                    try:
                        await old_send(message)
                        outcomes.append("sent")
                    except Exception as error:
                        outcomes.append(type(error).__name__)
                outcomes.append((await old_receive())["type"])
            return await answer(send, json.dumps(outcomes))
        if scope["path"] == "/body":
            body = (await receive())["body"]
            return await answer(send, body.decode())
        await answer(send, text)
        spoil(scope)
"""


@pytest.fixture(params=["asyncio", "uvloop"])
def server(serve: Serve, write, request: pytest.FixtureRequest) -> Server:
    write("keeps.py", APPLICATION)
    server = serve("keeps", "-k", "asgi", "--asgi-loop", request.param, "--asgi-pathsend", cwd=serve.folder)
    server.wait_ready()
    return server


def test_a_scope_that_is_changed_changes_no_other(server: Server) -> None:
    fields = [("TE", "trailers"), ("Connection", "TE"), ("X-A", "1")]
    with server.connect() as wire:
        first = wire.get("/scope?q", fields=fields).text
        assert "http.response.trailers" in first and "spoiled" not in first
        for _ in range(3):
            assert wire.get("/scope?q", fields=fields).text == first


def test_a_scope_of_a_websocket_that_is_changed_changes_no_other(server: Server) -> None:
    texts = []
    for _ in range(3):
        with server.connect() as wire:
            upgrade(wire, "/scope")
            texts.append(read_frame(wire).payload.decode())
    assert len(set(texts)) == 1 and "spoiled" not in texts[0]


def test_what_is_kept_of_a_request_can_do_nothing_to_the_next(server: Server) -> None:
    with server.connect() as wire:
        assert wire.get("/keep").text == "kept"
        assert wire.get("/keep").text == "kept"
        reply = wire.get("/abuse")
        assert (reply.status, reply.header("x-stolen")) == (200, None)
        refused = ["RuntimeError"] * 3 + ["http.disconnect"]
        assert json.loads(reply.text) == refused * 2
        assert wire.request("/body", method="POST", body=b"mine").reply().text == "mine"
        assert wire.get("/scope").text.startswith("{'type': 'http'")


def test_what_is_kept_of_a_request_without_an_answer_can_do_nothing_to_the_next(server: Server) -> None:
    with server.connect() as wire:
        assert wire.get("/keep-open").status == 500
    with server.connect() as wire:
        reply = wire.get("/abuse")
        assert (reply.status, reply.header("x-stolen")) == (200, None)
        assert json.loads(reply.text) == ["BrokenPipeError"] * 3 + ["http.disconnect"]
        assert wire.get("/scope").status == 200
