"""The application of most tests: one view for each thing that a test wants to see from inside.

Views wait at gates (see `harness/gates.py`), so that a test decides how long "busy" is.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

GATES = Path(os.environ.get("LAB_GATES", "."))
SERVED = [0]
BLOCKS: dict[int, bytes] = {}


def mark(name: str) -> None:
    (GATES / name).touch()


if "LAB_GATES" in os.environ:
    mark(f"imported-{os.getpid()}")


def wait_at(name: str, pause_s: float | None = 0.005) -> None:
    """Stand at a gate: asleep, or with `pause_s=None` burning the CPU in Python."""
    mark(f"{name}.entered")
    while not (GATES / f"{name}.open").exists():
        if pause_s is None:
            sum(range(1000))
        else:
            time.sleep(pause_s)


def plain(start_response, body: bytes, status: str = "200 OK"):
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def hello(environ, start_response, _):
    return plain(start_response, b"Hello, world!")


def pid(environ, start_response, _):
    return plain(start_response, b"%d" % os.getpid())


def parent_pid(environ, start_response, _):
    return plain(start_response, b"%d" % os.getppid())


def count(environ, start_response, _):
    """Which process this is, and the how manieth request of it."""
    SERVED[0] += 1
    return plain(start_response, b"%d:%d" % (os.getpid(), SERVED[0]))


def thread(environ, start_response, _):
    return plain(start_response, threading.current_thread().name.encode())


def dump(environ, start_response, _):
    shown = {
        name: value if isinstance(value, (str, bool, int, list, tuple)) else repr(value)
        for name, value in environ.items()
    }
    return plain(start_response, json.dumps(shown).encode())


def variable(environ, start_response, name):
    return plain(start_response, os.environ.get(name, "").encode())


def echo(environ, start_response, _):
    return plain(start_response, environ["wsgi.input"].read())


def length(environ, start_response, _):
    """The length of the request's body as read."""
    total = 0
    while block := environ["wsgi.input"].read(65536):
        total += len(block)
    return plain(start_response, b"%d" % total)


def unread(environ, start_response, _):
    """Answers without a look at the body."""
    return plain(start_response, b"not read")


def gate(environ, start_response, name):
    wait_at(name)
    return plain(start_response, b"%d" % os.getpid())


def spin(environ, start_response, name):
    wait_at(name, pause_s=None)
    return plain(start_response, b"%d" % os.getpid())


def stubborn(environ, start_response, name):
    """Waits at a gate and lets no exception stop it."""
    while True:
        try:
            wait_at(name)
            return plain(start_response, b"at last")
        except BaseException:
            mark(f"{name}.shrugged")


def block(environ, start_response, size):
    """`size` bytes in one piece; made once, so that asking for it costs no time."""
    return plain(start_response, BLOCKS.setdefault(int(size), b"x" * int(size)))


def pieces(environ, start_response, size):
    """`size` bytes without a Content-Length, in pieces of 64 KiB."""

    def produce():
        left = int(size)
        while left > 0:
            yield b"y" * min(left, 65536)
            left -= 65536

    start_response("200 OK", [("Content-Type", "text/plain")])
    return produce()


def error(environ, start_response, message):
    raise ValueError(message)


def late(environ, start_response, size):
    """Raises when `size` bytes are out."""

    def produce():
        yield b"z" * int(size)
        raise ValueError("late")

    start_response("200 OK", [("Content-Type", "text/plain")])
    return produce()


def leave(environ, start_response, code):
    """Ends the whole worker, as a crash in C code would."""
    os._exit(int(code))


VIEWS = {
    "": hello,
    "pid": pid,
    "ppid": parent_pid,
    "count": count,
    "thread": thread,
    "environ": dump,
    "variable": variable,
    "echo": echo,
    "length": length,
    "unread": unread,
    "gate": gate,
    "spin": spin,
    "stubborn": stubborn,
    "block": block,
    "pieces": pieces,
    "error": error,
    "late": late,
    "leave": leave,
}


def application(environ, start_response):
    name, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
    view = VIEWS.get(name)
    if view is None:
        return plain(start_response, b"no such view", "404 Not Found")
    return view(environ, start_response, rest)
