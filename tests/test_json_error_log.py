"""`--error-log-format json`: every line of the server's own log is a JSON object, whatever it is about."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from signal import SIGHUP
from typing import Any

import pytest
from harness import APPS, Serve, Server, eventually

Write = Callable[[str, str], Path]

LOUD = r"""
    import asyncio, logging, sys
    import lab
    def application(environ, start_response):
        match environ["PATH_INFO"]:
            case "/raise":
                raise ValueError('a "b" \\ \x07 \u2028 \udc80 ' + "\N{SNOWMAN}")
            case "/log":
                logging.getLogger("gunicorn.error").warning("%s and\nmore", "one")
                logging.getLogger("gunicorn.error").info("%d", "no number")
            case "/errors":
                print("to the operator", file=environ["wsgi.errors"])
        return lab.plain(start_response, b"heard")
    """


def objects(server: Server) -> list[dict[str, Any]]:
    lines = server.err.splitlines()
    found = [json.loads(line) for line in lines if line]
    for line in found:
        datetime.fromisoformat(line["time"])
        assert line["level"] in ("debug", "info", "warning", "error", "critical"), line
        assert isinstance(line["pid"], int)
        assert isinstance(line["message"], str)
    return found


def find(server: Server, message: str) -> dict[str, Any]:
    return eventually(lambda: [line for line in objects(server) if message in line["message"]])[-1]


@pytest.mark.parametrize("option", ["--error-log-format", "--log-format"])
def test_every_line_is_an_object(serve: Serve, write: Write, option: str) -> None:
    write("loud.py", LOUD)
    options = (option, "json", "--pythonpath", str(APPS), "--request-id", "--log-level", "debug")
    server = serve("loud", *options, cwd=serve.folder)
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    fields = [("traceparent", f"00-{trace}-{span}-01"), ("X-Request-ID", "abc-1")]
    assert server.get("/raise", fields=fields).status == 500
    raised = find(server, "Error handling request GET /raise")
    assert (raised["level"], raised["exception"]) == ("error", "ValueError")
    assert raised["traceback"].startswith("Traceback (most recent call last):\n")
    assert raised["traceback"].endswith('ValueError: a "b" \\ \x07 \u2028 \\udc80 \N{SNOWMAN}')
    assert (raised["trace_id"], raised["span_id"]) == (trace, span)
    assert raised["request_id"]
    server.get("/log")
    assert find(server, "one and\nmore")["level"] == "warning"
    assert find(server, "%d ('no number',)")["level"] == "info"
    server.get("/errors")
    assert find(server, "to the operator")["level"] == "error"
    server.signal(SIGHUP)
    find(server, "Handling signal: hup")
    server.stop()
    assert "Shutting down: Master" in [line["message"] for line in objects(server)]


def test_asgi_tracebacks_have_the_ids_of_their_requests(serve: Serve, write: Write) -> None:
    write("loud.py", "async def application(scope, receive, send):\n    raise KeyError(scope['path'])\n")
    server = serve("loud", "-k", "asgi", "--error-log-format", "json", cwd=serve.folder, probe="/probe", ready=False)
    server.wait_listening()
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert server.get("/raise", fields=[("traceparent", f"00-{trace}-b7ad6b7169203331-01")]).status == 500
    raised = find(server, "Error handling request /raise")
    assert (raised["exception"], raised["trace_id"]) == ("KeyError", trace)


def test_both_logs_at_once_and_one_apart(serve: Serve) -> None:
    server = serve("lab", "--log-format", "json", "--access-logfile", "-", "--capture-output")
    server.get("/pid")
    line = eventually(lambda: [json.loads(line) for line in server.out.splitlines() if "/pid" in line])[0]
    assert (line["path"], line["status"]) == ("/pid", 200)
    objects(server)
    other = serve("lab", "--log-format", "json", "--error-log-format", "text")
    assert "[INFO] Starting oxicorn" in other.log


def test_stacks_at_a_time_out_are_in_objects(serve: Serve) -> None:
    server = serve("lab", "--error-log-format", "json", "--timeout", "2")
    with server.connect() as wire:
        wire.request("/gate/slow")
        assert wire.patience(10).reply().status == 504
        eventually(lambda: [line for line in objects(server) if "in wait_at" in line["message"]])


def test_a_failure_of_the_start_is_an_object(serve: Serve) -> None:
    refusal = serve.refused("no_such_module", "--error-log-format", "json")
    lines = [json.loads(line) for line in refusal.err.splitlines()]
    assert any("no_such_module" in line["message"] for line in lines)
