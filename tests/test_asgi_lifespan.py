"""The lifespan of ASGI applications: started before the first request, ended after the last."""

from __future__ import annotations

import time
from signal import SIGHUP, SIGINT

import pytest
from harness import Serve, eventually

APP = """
    import asyncio, os, pathlib
    GATES = pathlib.Path(os.environ["LAB_GATES"])
    MODE = os.environ.get("MODE", "")

    async def misuse(send, kind):
        try:
            await send({"type": kind})
        except RuntimeError as error:
            (GATES / f"{kind}.raised").touch()

    async def lifespan(scope, receive, send):
        assert scope["asgi"]["version"] == "3.0"
        message = await receive()
        assert message == {"type": "lifespan.startup"}, message
        if MODE == "slow":
            await asyncio.sleep(1)
        if MODE == "misuse":
            await misuse(send, "http.response.start")
            await misuse(send, "lifespan.shutdown.complete")
        if MODE == "failed_and_stays":
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            await receive()
        if MODE == "failed":
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        if MODE == "raises":
            raise RuntimeError("the start-up broke")
        scope["state"]["started"] = [os.getpid()]
        scope["state"]["number"] = 1
        (GATES / "started").touch()
        await send({"type": "lifespan.startup.complete"})
        if MODE == "misuse":
            await misuse(send, "lifespan.startup.complete")
        message = await receive()
        assert message == {"type": "lifespan.shutdown"}, message
        if MODE == "endless":
            await asyncio.sleep(60)
        if MODE == "end_fails":
            await send({"type": "lifespan.shutdown.failed", "message": "could not say goodbye"})
            return
        (GATES / "ended").touch()
        await send({"type": "lifespan.shutdown.complete"})

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            if MODE == "unsupported":
                raise ValueError("HTTP only")
            await lifespan(scope, receive, send)
            return
        state = scope["state"]
        if scope["path"] == "/change":
            state["number"] += 1
        if scope["path"] == "/wait":
            (GATES / "door.entered").touch()
            while not (GATES / "door.open").exists():
                await asyncio.sleep(0.005)
            assert not (GATES / "ended").exists()
        body = f"{state.get('started') == [os.getpid()]} {state.get('number')}".encode()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def app(serve: Serve, write):
    """Serve the application in one of its modes."""
    write("living.py", APP)

    def start(mode: str = "", *options: str, **more):
        return serve("living", "-k", "asgi", *options, cwd=serve.folder, env={"MODE": mode}, **more)

    return start


def refused(serve: Serve, mode: str, *options: str):
    return serve.refused(
        "living", "-k", "asgi", *options, cwd=serve.folder, env={"MODE": mode, "LAB_GATES": str(serve.gates.folder)}
    )


def test_the_application_starts_before_the_first_request_and_ends_after_the_last(serve: Serve, app) -> None:
    server = app("slow")
    assert serve.gates.marked("started")
    with server.connect() as wire:
        wire.request("/wait")
        serve.gates.wait_entered("door")
        server.signal(SIGHUP)
        time.sleep(0.3)
        assert not serve.gates.marked("ended")
        serve.gates.open("door")
        assert wire.reply().text == "True 1"
    eventually(lambda: serve.gates.marked("ended"))
    assert server.stop() == 0
    assert "ERROR" not in server.log


def test_each_request_has_a_copy_of_the_state(app) -> None:
    server = app()
    assert server.get("/change").text == "True 2"
    assert server.get("/").text == "True 1"


def test_an_answer_to_what_was_not_asked_raises_in_the_application(serve: Serve, app) -> None:
    server = app("misuse")
    assert server.stop() == 0
    assert serve.gates.marked("ended"), "the second answer to the start-up was not taken for one to the shutdown"
    for kind in ("http.response.start", "lifespan.shutdown.complete", "lifespan.startup.complete"):
        assert serve.gates.marked(f"{kind}.raised")


def test_a_failed_start_up_ends_the_lifespan(serve: Serve, app) -> None:
    refusal = refused(serve, "failed_and_stays")
    assert refusal.code == 3 and "no database" in refusal.text
    assert "pending" not in refusal.text


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_failed_start_up_keeps_the_server_from_serving(serve: Serve, app, write, mode: str) -> None:
    refusal = refused(serve, "failed", "--asgi-lifespan", mode)
    assert refusal.code == 3
    assert "failed to start" in refusal.text and "no database" in refusal.text


def test_a_start_up_that_raises(serve: Serve, app) -> None:
    refusal = refused(serve, "raises", "--asgi-lifespan", "on")
    assert refusal.code == 3
    assert "in lifespan" in refusal.text and "RuntimeError: the start-up broke" in refusal.text
    server = app("raises")
    assert server.get("/").text == "False None"
    server.wait_log("it gets no lifespan(.*\n)*?RuntimeError: the start-up broke")


def test_an_application_without_lifespan(serve: Serve, app) -> None:
    server = app("unsupported")
    assert server.get("/").text == "False None"
    assert server.stop() == 0
    assert "ValueError" not in server.log
    refusal = refused(serve, "unsupported", "--asgi-lifespan", "on")
    assert refusal.code == 3 and "ValueError: HTTP only" in refusal.text


def test_off(serve: Serve, app) -> None:
    server = app("failed", "--asgi-lifespan", "off")
    assert server.get("/").text == "False None"
    assert server.stop() == 0
    assert not serve.gates.marked("started")


def test_an_application_that_does_not_end(app) -> None:
    server = app("endless", "--graceful-timeout", "2")
    assert server.stop(within=10) == 0
    server.wait_log("did not end within")


def test_an_end_that_fails(app) -> None:
    server = app("end_fails")
    assert server.stop() == 0
    server.wait_log("could not say goodbye")


def test_a_quick_stop_ends_the_application_too(serve: Serve, app) -> None:
    server = app()
    assert server.stop(SIGINT) == 0
    assert serve.gates.marked("ended")


def test_a_reload_that_does_not_start_replaces_nobody(serve: Serve, app, write) -> None:
    server = app()
    old = server.wait_workers(1)
    write("living.py", APP.replace('MODE == "failed"', "True"))
    server.signal(SIGHUP)
    server.wait_log("no database")
    time.sleep(0.3)
    assert set(old) <= set(server.workers())
    assert server.get("/").text == "True 1"


def test_every_worker_has_its_own(app) -> None:
    server = app("", "-w", "2")
    server.wait_workers(2)
    for _ in range(8):
        assert server.get("/").text == "True 1"


def test_preloaded(serve: Serve, app) -> None:
    server = app("", "--preload")
    assert server.get("/").text == "True 1"
    assert server.stop() == 0
    assert serve.gates.marked("ended")
