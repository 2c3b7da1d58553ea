"""What a client sends can neither forge a line of the log nor have one shown as something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import KINDS, Serve, eventually

#: What a terminal, an editor or a viewer of logs acts on, as UTF-8, and as it must stand in the log.
ACTED_ON = {
    "\u009b2J": r"\xc2\x9b2J",
    "\u0085": r"\xc2\x85",
    "\u202egnp.exe": r"\xe2\x80\xaegnp.exe",
    "\u2066\u2069": r"\xe2\x81\xa6\xe2\x81\xa9",
    "\u200e\u200f\u061c": r"\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c",
    "\u2028\u2029": r"\xe2\x80\xa8\xe2\x80\xa9",
    '"': r"\"",
    "\\": r"\\",
    "größe \u20ac": "größe \u20ac",
}

WORKERS = {**{name: ("lab", options) for name, options in KINDS.items()}, "asgi": ("asgi_lab", ["-k", "asgi"])}


@pytest.mark.parametrize(("app", "options"), WORKERS.values(), ids=WORKERS)
def test_marks_in_an_access_line(serve: Serve, tmp_path: Path, app: str, options: list[str]) -> None:
    log = tmp_path / "access.log"
    server = serve(app, *options, "--access-logfile", str(log), "--access-logformat", "<%(a)s> <%({x-more}i)s>")
    for sent in ACTED_ON:
        with server.connect() as wire:
            more = sent.encode()
            wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + more + b"\r\nX-More: " + more + b"\r\n\r\n")
            wire.reply()
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x9b\xff\r\n\r\n")
        wire.reply()
    expected = [f"<{shown}> <{shown}>" for shown in ACTED_ON.values()] + [r"<\x9b\xff> <->"]
    eventually(lambda: len(log.read_text().splitlines()) == len(expected) + 1, what=log.read_text)
    assert log.read_text().split("\n")[1:-1] == expected


def test_marks_in_a_line_that_the_logger_writes(serve: Serve, write) -> None:
    write(
        "mine.py",
        """
        from gunicorn.glogging import Logger

        class Mine(Logger):
            def now(self):
                return "then"
        """,
    )
    options = ("--access-logfile", "-", "--access-logformat", "<%(a)s>", "--logger-class", "mine.Mine")
    server = serve("lab", *options, "--pythonpath", str(serve.folder))
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + "a\u009b\u202eb".encode() + b"\r\n\r\n")
        wire.reply()
    eventually(lambda: r"\x9b" in server.log, what=lambda: server.log)
    assert "\u009b" not in server.log and "\u202e" not in server.log


def test_marks_in_the_error_log(serve: Serve) -> None:
    """Lines about a request that was refused, or whose application raised, show what the client sent in ASCII."""
    server = serve("lab", "--log-level", "debug")
    marks = "\u009b\u202e\u2028".encode()
    requests = [
        b"GET /raise?" + marks + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /raise HTTP/1.1\r\nHost: " + marks + b"\r\n\r\n",
        b"GET /raise HTTP/1.1\r\nHost: a\r\nX_" + marks + b": 1\r\n\r\n",
        marks + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /raise HTTP/1.1\r\nHost: a\r\nX_Dropped: " + marks + b"\r\nCookie: " + marks + b"\r\n\r\n",
    ]
    for request in requests:
        with server.connect() as wire:
            wire.send(request)
            assert wire.reply().status >= 400
    server.stop()
    for mark in "\u009b\u202e\u2028":
        assert mark not in server.log
