"""An application that runs its event loop inside a handler (nest_asyncio) holds up no other request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest
from harness import Serve, Server, eventually

APPLICATION = """
    import asyncio, os
    from pathlib import Path
    import nest_asyncio

    GATES = Path(os.environ["LAB_GATES"])
    if os.environ["APPLY"] == "at import":
        loop = asyncio.new_event_loop()
        nest_asyncio.apply(loop)
        loop.close()

    async def wait_at(name):
        (GATES / f"{name}.entered").touch()
        while not (GATES / f"{name}.open").exists():
            await asyncio.sleep(0.005)
        return name

    async def answer(send, text):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": text.encode()})

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        view, _, name = scope["path"][1:].partition("/")
        if os.environ["APPLY"] == "in the handler" and view:
            nest_asyncio.apply()
        if view == "nested":
            # Before the first real wait of the handler.
            return await answer(send, asyncio.get_running_loop().run_until_complete(wait_at(name)))
        if view == "later":
            await asyncio.sleep(0.01)
            return await answer(send, asyncio.get_running_loop().run_until_complete(wait_at(name)))
        if view == "run":
            return await answer(send, asyncio.run(wait_at(name)))
        if view == "wait":
            return await answer(send, await wait_at(name))
        await answer(send, "here")
"""


@pytest.fixture(scope="module", params=["at import", "in the handler"])
def server(serve_module: Serve, request: pytest.FixtureRequest) -> Server:
    (serve_module.folder / "nesting.py").write_text(dedent(APPLICATION))
    options = ["-k", "asgi", "--asgi-loop", "asyncio"]
    return serve_module("nesting", *options, cwd=serve_module.folder, env={"APPLY": request.param})


@pytest.mark.parametrize("view", ["nested", "later", "run"])
def test_other_requests_go_on_beside_a_nested_loop(serve_module: Serve, server: Server, view: str) -> None:
    gates, name = serve_module.gates, f"{view}-{server.pid}"
    with server.connect() as nesting, server.connect() as kept:
        assert kept.get("/").text == "here"
        nesting.request(f"/{view}/{name}")
        gates.wait_entered(name)
        for _ in range(20):
            assert kept.get("/").text == "here"
            assert server.get("/").text == "here"
        gates.open(name)
        assert nesting.reply().text == name
        assert kept.get("/").text == "here"
    assert "cannot enter context" not in server.log
    assert "Traceback" not in server.log


def test_requests_of_one_turn_go_on_when_the_first_of_them_nests(serve_module: Serve, server: Server) -> None:
    gates, name = serve_module.gates, f"turn-{server.pid}"
    wires = [server.connect() for _ in range(8)]
    try:
        for wire in wires:
            assert wire.get("/").text == "here"
        wires[0].request(f"/nested/{name}")
        for wire in wires[1:]:
            wire.request("/")
        for wire in wires[1:]:
            assert wire.reply().text == "here"
        gates.open(name)
        assert wires[0].reply().text == name
    finally:
        for wire in wires:
            wire.close()


def test_loops_nest_deeper_than_once(serve_module: Serve, server: Server) -> None:
    gates = serve_module.gates
    outer, inner, waiting = (f"{part}-{server.pid}" for part in ("outer", "inner", "waiting"))
    with server.connect() as one, server.connect() as two, server.connect() as three:
        one.request(f"/nested/{outer}")
        gates.wait_entered(outer)
        two.request(f"/nested/{inner}")
        gates.wait_entered(inner)
        three.request(f"/wait/{waiting}")
        gates.wait_entered(waiting)
        assert server.get("/").text == "here"
        for name, wire in ((waiting, three), (inner, two), (outer, one)):
            gates.open(name)
            assert wire.reply().text == name


def test_a_crowd_of_nested_loops_is_answered(server: Server, serve_module: Serve) -> None:
    names = [f"crowd-{number}-{server.pid}" for number in range(20)]
    for name in names:
        serve_module.gates.open(name)

    def ask(name: str) -> str:
        with server.connect() as wire:
            return wire.get(f"/nested/{name}").text

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, names)) == names
    eventually(lambda: server.get("/").text == "here")
    assert len(server.workers()) == 1 and "Worker exiting" not in server.log
