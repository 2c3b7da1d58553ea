"""Access lines in JSON are valid for any bytes that a client sends, and have numbers as numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from harness import Serve, Server, eventually

JOE = ("Authorization", "Basic am9lOnNlY3JldA==")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def start(
    serve: Serve, tmp_path: Path, *options: str, app: str = "lab", kind: str | None = None
) -> tuple[Server, Path]:
    log = tmp_path / "access"
    server = serve(app, "--access-logfile", str(log), "--access-log-format", "json", *options, kind=kind)
    return server, log


def last(log: Path, **known: object) -> dict[str, Any]:
    """The last line with these values."""

    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in log.read_bytes().splitlines()]
        return [line for line in lines if known.items() <= line.items()]

    return eventually(found, within=5, what=lambda: log.read_text(errors="replace"))[-1]


@pytest.mark.parametrize(("app", "kind"), [("lab", "sync"), ("lab", "gthread"), ("asgi_lab", None)])
def test_what_a_line_has(serve: Serve, tmp_path: Path, app: str, kind: str | None) -> None:
    server, log = start(serve, tmp_path, app=app, kind=kind)
    fields = [
        ("User-Agent", 'a "quoted" \\ agent'),
        ("traceparent", TRACE),
        ("Authorization", "Basic am9lOnNlY3JldA=="),
    ]
    reply = server.get("/?a=b%20c", fields=fields)
    line = last(log, query="a=b%20c")
    assert line["user_agent"] == 'a "quoted" \\ agent'
    assert (line["trace_id"], line["span_id"]) == tuple(TRACE.split("-")[1:3])
    assert (line["method"], line["path"], line["protocol"], line["scheme"]) == ("GET", "/", "HTTP/1.1", "http")
    assert (line["client"], line["user"], line["status"]) == ("127.0.0.1", "joe", reply.status)
    assert line["bytes"] == len(reply.body)
    assert 0 < line["seconds"] < 10
    assert line["pid"] in server.workers()
    assert "referer" not in line


def test_any_bytes_are_valid_json(serve: Serve, tmp_path: Path) -> None:
    server, log = start(serve, tmp_path)
    with server.connect() as wire:
        wire.send(b'GET /?any HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\xfe \xe2\x80\xae "\t\\n\r\n\r\n')
        assert wire.reply().status == 200
    assert last(log, query="any")["user_agent"] == '\\xff\\xfe \u202e "\t\\n'


def test_a_request_that_cannot_be_read_has_what_is_known(serve: Serve, tmp_path: Path) -> None:
    server, log = start(serve, tmp_path)
    with server.connect() as wire:
        wire.send(b"nonsense\r\n\r\n")
        assert wire.reply().status == 400
    line = last(log, status=400)
    assert "method" not in line and line["client"] == "127.0.0.1"


def test_lines_through_pythons_logging_have_the_same_keys(serve: Serve, tmp_path: Path) -> None:
    direct, log = start(serve, tmp_path)
    direct.get("/?one")
    expected = last(log, query="one").keys()
    (tmp_path / "conf.py").write_text(
        "import logging\nlogging.getLogger('gunicorn.access').addFilter(lambda record: True)\n"
    )
    server = serve("lab", "-c", str(tmp_path / "conf.py"), "--access-logfile", "-", "--access-log-format", "json")
    server.get("/?two")

    def found() -> dict[str, Any] | None:
        lines = [json.loads(line) for line in server.out.splitlines() if line.startswith("{")]
        return next((line for line in lines if line.get("query") == "two"), None)

    line = eventually(found, within=5, what=lambda: server.out)
    assert line is not None and line.keys() == expected
    assert isinstance(line["status"], int) and line["pid"] != os.getpid()
