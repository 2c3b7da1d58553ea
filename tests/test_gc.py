"""`gc`: what a worker has loaded is frozen, and its collector looks less often; `python` leaves it alone."""

from __future__ import annotations

import gc
import json

import pytest
from harness import Serve, Server

WSGI = """
import gc, json
{extra}

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [json.dumps([gc.get_freeze_count(), gc.get_threshold()]).encode()]
"""

ASGI = """
import gc, json
{extra}

class Kept:
    pass

kept = []

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        kept.extend(Kept() for _ in range(50_000))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    body = json.dumps([gc.get_freeze_count(), gc.get_threshold()]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""

APPLICATIONS = {"sync": WSGI, "gthread": WSGI, "asgi": ASGI}


@pytest.fixture(params=APPLICATIONS)
def start(request: pytest.FixtureRequest, serve: Serve, write):
    def start(*options: str, extra: str = "", **more) -> Server:
        write("collected.py", APPLICATIONS[request.param].replace("{extra}", extra))
        return serve("collected", "-k", request.param, *options, cwd=serve.folder, **more)

    return start


def ask(server: Server) -> tuple[int, list[int]]:
    frozen, thresholds = json.loads(server.get("/").text)
    return frozen, thresholds


def test_what_is_loaded_is_frozen_and_the_first_threshold_raised(start) -> None:
    frozen, thresholds = ask(start())
    assert frozen > 1_000
    assert thresholds == [10_000, *gc.get_threshold()[1:]]


def test_each_worker_freezes_what_it_has_loaded_after_a_preload_as_well(start) -> None:
    frozen, thresholds = ask(start("--preload"))
    assert frozen > 1_000
    assert thresholds[0] == 10_000


def test_the_word_python_leaves_the_collector_alone(start) -> None:
    assert ask(start("--gc", "python")) == (0, list(gc.get_threshold()))


def test_a_threshold_of_the_application_stays(start) -> None:
    frozen, thresholds = ask(start(extra="gc.set_threshold(321, 5, 5)"))
    assert frozen > 1_000
    assert thresholds == [321, 5, 5]


def test_a_collector_that_the_application_has_disabled_is_left_alone(start) -> None:
    frozen, thresholds = ask(start(extra="gc.disable()"))
    assert (frozen, thresholds) == (0, list(gc.get_threshold()))


def test_a_conf_file_may_import_gc(start, write) -> None:
    write("conf.py", "import gc\n")
    assert ask(start("-c", "conf.py"))[1][0] == 10_000


def test_what_a_lifespan_makes_is_frozen(serve: Serve, write) -> None:
    write("collected.py", ASGI.replace("{extra}", ""))
    frozen, _ = ask(serve("collected", "-k", "asgi", cwd=serve.folder))
    assert frozen > 50_000


def test_another_word_is_refused(serve: Serve) -> None:
    refusal = serve.refused("lab", "--gc", "never")
    assert refusal.code == 1
    assert "expected tuned or python" in refusal.text
