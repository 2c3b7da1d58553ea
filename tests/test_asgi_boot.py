"""The start-up of an ASGI application may take its time while its loop turns; a lifespan that crashes is told of."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Serve

APPLICATION = """
    import asyncio, os, time
    from pathlib import Path

    GATES = Path(os.environ["LAB_GATES"])

    async def wait_at(name):
        (GATES / f"{name}.entered").touch()
        while not (GATES / f"{name}.open").exists():
            await asyncio.sleep(0.01)

    async def lifespan(receive, send):
        await receive()
        way = os.environ["WAY"]
        if way == "turns":
            await wait_at("startup")
        if way == "blocks":
            (GATES / "startup.entered").touch()
            time.sleep(60)
        await send({"type": "lifespan.startup.complete"})
        if way == "crashes":
            await wait_at("crash")
            raise LookupError("the lifespan of its own")
        if way == "returns":
            return
        await receive()
        (GATES / "ended").touch()
        if way == "crashes at the end":
            raise LookupError("the lifespan of its own")
        await send({"type": "lifespan.shutdown.complete"})

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            return await lifespan(receive, send)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"here"})
"""


@pytest.fixture
def start(serve: Serve, write):
    write("starting.py", APPLICATION)

    def start(way: str, *options: str, ready: bool = False):
        return serve("starting", "-k", "asgi", *options, cwd=serve.folder, env={"WAY": way}, ready=ready)

    return start


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_start_up_whose_loop_turns_outlasts_the_timeout(serve: Serve, start, loop: str) -> None:
    server = start("turns", "--timeout", "2", "--asgi-loop", loop)
    serve.gates.wait_entered("startup")
    (worker,) = server.wait_workers(1)
    # It is not killed in the time in which one that blocks is.
    blocking = serve("starting", "-k", "asgi", "--timeout", "2", cwd=serve.folder, env={"WAY": "blocks"}, ready=False)
    blocking.wait_log("WORKER TIMEOUT", within=20)
    blocking.kill()
    assert server.workers() == [worker]
    serve.gates.open("startup")
    assert server.wait_ready().get("/").text == "here"
    assert server.workers() == [worker] and "TIMEOUT" not in server.log


@pytest.mark.parametrize("way", ["turns", "blocks"])
def test_a_boot_has_a_limit_of_its_own(serve: Serve, start, way: str) -> None:
    server = start(way, "--worker-boot-timeout", "2")
    server.wait_log("WORKER TIMEOUT", within=20)


@pytest.mark.parametrize("kind", ["sync", "gthread", "asgi"])
def test_the_limit_of_a_boot_holds_in_place_of_the_timeout(serve: Serve, write, kind: str) -> None:
    write("slow.py", "import time\ntime.sleep(3)\ndef application(environ, start_response): pass\n")
    write("slow_asgi.py", "import time\ntime.sleep(3)\nfrom starting import application\n")
    write("starting.py", APPLICATION)
    app = "slow_asgi" if kind == "asgi" else "slow"
    options = ["-k", kind, "--timeout", "1", "--worker-boot-timeout", "30"]
    server = serve(app, *options, cwd=serve.folder, env={"WAY": "plain"})
    assert "TIMEOUT" not in server.log


def test_a_lifespan_that_crashes_while_it_serves_is_told_of_at_once(serve: Serve, start) -> None:
    server = start("crashes", ready=True)
    serve.gates.wait_entered("crash")
    assert "LookupError" not in server.log
    serve.gates.open("crash")
    server.wait_log("lifespan ended while it serves")
    server.wait_log("LookupError: the lifespan of its own")
    assert server.get("/").text == "here"
    assert server.stop() == 0
    assert server.log.count("LookupError: the lifespan of its own") == 1


def test_a_lifespan_that_crashes_at_the_end_is_told_of_once(start) -> None:
    server = start("crashes at the end", ready=True)
    assert server.stop() == 0
    assert server.log.count("LookupError: the lifespan of its own") == 1


def test_a_lifespan_that_returns_is_no_crash(start) -> None:
    server = start("returns", ready=True)
    assert server.get("/").text == "here"
    assert server.stop() == 0
    assert "ERROR" not in server.log


@pytest.mark.parametrize(
    "options",
    [
        ("-k", "asgi", "--timeout-graceful-shutdown", "0"),
        ("-k", "uvicorn.workers.UvicornWorker", "--graceful-timeout", "0"),
        ("--timeout-graceful-shutdown", "0"),
    ],
)
def test_without_a_graceful_timeout_requests_are_cancelled_and_the_lifespan_ends(
    serve: Serve, write, tmp_path: Path, options: tuple[str, ...]
) -> None:
    write(
        "endless.py",
        """
        import asyncio, os
        from pathlib import Path
        GATES = Path(os.environ["LAB_GATES"])
        async def application(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await asyncio.sleep(0.5)
                (GATES / "lifespan.ended").touch()
                return await send({"type": "lifespan.shutdown.complete"})
            if scope["path"] == "/":
                await send({"type": "http.response.start", "status": 200})
                return await send({"type": "http.response.body", "body": b"here"})
            try:
                (GATES / "request.entered").touch()
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                (GATES / "request.cancelled").touch()
                raise
        """,
    )
    server = serve("endless", *options, cwd=serve.folder)
    with server.connect() as wire, server.connect() as kept:
        assert kept.get("/").text == "here"
        wire.request("/endless")
        serve.gates.wait_entered("request")
        assert server.stop() == 0
        assert wire.reply().status == 500
    assert serve.gates.marked("request.cancelled") and serve.gates.marked("lifespan.ended")
    assert "signal" not in server.log.replace("Handling signal", "")
