"""Whole applications, visited by their own clients: Gradio behind its own static files, FastMCP's event stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Serve, Server, eventually, free_port

PROGRAMS = Path(__file__).parent / "applications"

#: The environment that `make test` builds for them.
PYTHON = Path(f"{sys.prefix}-applications") / "bin" / "python"

pytestmark = [
    pytest.mark.skipif(not PYTHON.exists(), reason="no environment with the applications: make applications"),
    # They import for seconds.
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def start(serve_module: Serve) -> Callable[..., Server]:
    """A server of the environment with the applications."""

    def start(app: str, *options: str, probe: str = "/") -> Server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OXICORN_TEST_SERVER", f"{PYTHON} -m oxicorn")
            server = serve_module(app, "--timeout", "150", *options, cwd=PROGRAMS, ready=False, env=QUIET)
        return server.wait_ready(probe, within=150)

    return start


@pytest.fixture
def start_by_itself(serve: Serve) -> Callable[..., Server]:
    """A server that a command of the application's own starts, under `oxicorn run`; PORT stands for its port."""

    def start(*words: str, probe: str = "/") -> Server:
        port = free_port()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OXICORN_TEST_SERVER", f"{PYTHON} -m oxicorn run --")
            command = [word.replace("PORT", str(port)) for word in words]
            server = serve(None, *command, cwd=PROGRAMS, ready=False, bind=None, env=QUIET)
        server.address = ("127.0.0.1", port)
        eventually(lambda: answers(server, probe), within=150, what=lambda: server.log)
        return server

    return start


def answers(server: Server, target: str) -> bool:
    """Whether the server answers, and is Oxicorn."""
    assert server.running, server.log
    try:
        with server.connect() as wire:
            return wire.get(target).header("Server") == "oxicorn"
    except OSError:
        return False


#: They call home otherwise.
QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "FASTMCP_CHECK_FOR_UPDATES": "off"}


def visit(program: str, server: Server, *arguments: str) -> dict[str, Any]:
    """Run a client to its end and return what it tells."""
    command = [str(PYTHON), str(PROGRAMS / program), server.url, *arguments]
    done = subprocess.run(command, env={**os.environ, **QUIET}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_gradio_serves_its_page_its_files_and_its_events(start, loop: str) -> None:
    server = start("gradio_app:app", "--asgi-loop", loop)
    found = visit("gradio_visit.py", server)
    assert found["status"] == 200
    assert found["assets"] > 0 and found["wrong"] == []
    assert found["greeting"] == "Hello Ada"
    assert found["numbers"] == [1, 2, 3]
    assert server.stop() == 0
    assert "[ERROR]" not in server.log


def test_fastmcps_client_follows_the_event_stream(start, tmp_path: Path) -> None:
    server = start("fastmcp_app:app", probe="/mcp")
    found = visit("fastmcp_visit.py", server, str(tmp_path / "gate"))
    assert found["tools"] == ["add", "climb"] and found["sum"] == 5
    # The call ends only after the first step has reached the client.
    assert found["climbed"] == "at the top" and found["steps"] == [0, 1, 2, 3]
    # The head of a stream does not wait for its first event.
    assert found["opened_s"] < 10
    assert server.stop() == 0
    assert "[ERROR]" not in server.log


def test_gradio_launches_itself(start_by_itself) -> None:
    server = start_by_itself("python", "gradio_launch.py", "PORT")
    found = visit("gradio_visit.py", server)
    assert found["assets"] > 0 and found["wrong"] == []
    assert found["greeting"] == "Hello Ada"
    assert found["numbers"] == [1, 2, 3]


def test_fastmcp_runs_itself(start_by_itself, tmp_path: Path) -> None:
    server = start_by_itself(
        "fastmcp", "run", "fastmcp_app.py", "-t", "http", "-p", "PORT", "--no-banner", probe="/mcp"
    )
    found = visit("fastmcp_visit.py", server, str(tmp_path / "gate"))
    assert found["sum"] == 5 and found["steps"] == [0, 1, 2, 3]


def test_datasette_serves_itself(start_by_itself) -> None:
    server = start_by_itself("datasette", "serve", "--memory", "--port", "PORT")
    assert server.get("/-/versions.json").json()["datasette"]["version"] == "0.65.5"
    rows = server.get("/_memory.json?sql=select+1+as+one&_shape=array")
    assert rows.json() == [{"one": 1}]
