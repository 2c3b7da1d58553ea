"""Wraps a file of the kind that the path names in `wsgi.file_wrapper`; `/read/KIND` gives what its `read` returns."""

from __future__ import annotations

import functools
import io
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading

# The server closes what is opened here.
# ruff: noqa: SIM115
from lab import GATES, mark, wait_at

CONTENT = b"0123456789" * 20_000
PATH = GATES / "content"


def writer(write, close):
    """Writes the content from a thread, more than a pipe holds, and closes."""

    def run():
        write(CONTENT)
        close()

    threading.Thread(target=run).start()


def pipe(buffering=-1):
    read, write = os.pipe()
    end = os.fdopen(write, "wb")
    writer(end.write, end.close)
    return os.fdopen(read, "rb", buffering)


def fifo():
    path = GATES / f"fifo-{threading.get_ident()}"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    threading.Thread(target=path.write_bytes, args=[CONTENT]).start()
    return path.open("rb")


def process():
    command = [sys.executable, "-c", "print('0123456789' * 20_000, end='')"]
    return subprocess.Popen(command, stdout=subprocess.PIPE).stdout


def sockets(read):
    near, far = socket.socketpair()
    writer(far.sendall, far.close)
    return read(near)


def opened(mode, change=lambda file: None, buffering=-1):
    PATH.write_bytes(CONTENT)
    file = PATH.open(mode, buffering)
    change(file)
    return file


def closed(file):
    file.close()
    return file


def overwrite(file):
    """Leaves what was written in the buffer."""
    file.write(b"changed")


def append(file):
    """Writes where the file ends, though it stands at its beginning."""
    file.seek(0)
    file.write(b"at the end")


def read_on(file):
    """Reads a little, whereupon the descriptor is further on than the file."""
    file.read(3)


def filled(file):
    file.write(CONTENT)
    file.seek(5)
    return file


def sparse():
    with PATH.open("wb") as file:
        file.truncate(300_000)
    return PATH.open("rb")


def mapped():
    with opened("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Upper:
    """A file whose `read` looks like the one of the file below, and is another."""

    def __init__(self):
        file = opened("rb")

        @functools.wraps(file.read)
        def read(size=-1):
            return file.read(size).replace(b"0", b"zero")

        self.read, self.fileno, self.close = read, file.fileno, file.close


class NoNumber(io.BytesIO):
    """A file that says by an exception that it has no descriptor."""

    def fileno(self):
        raise OSError("no descriptor")


class Odd(io.FileIO):
    """A file of the interpreter's own, with another descriptor than the one that it reads."""

    def fileno(self):
        raise ValueError("ask somebody else")


KINDS = {
    "pipe": pipe,
    "raw-pipe": lambda: pipe(0),
    "fifo": fifo,
    "process": process,
    "socket": lambda: sockets(lambda near: near.makefile("rb")),
    "socket-number": lambda: sockets(lambda near: os.fdopen(near.detach(), "rb")),
    "proc": lambda: open("/proc/version", "rb"),
    "raw-proc": lambda: open("/proc/version", "rb", 0),
    "sys": lambda: open("/sys/kernel/mm/transparent_hugepage/enabled", "rb"),
    "null": lambda: open("/dev/null", "rb"),
    "file": lambda: opened("rb"),
    "raw": lambda: opened("rb", buffering=0),
    "read-on": lambda: opened("rb", read_on),
    "behind-its-end": lambda: opened("rb", lambda file: file.seek(1_000_000)),
    "sparse": sparse,
    "unflushed": lambda: opened("r+b", overwrite),
    "append": lambda: opened("a+b", append),
    "write-then-read": lambda: filled(opened("w+b")),
    "mapped": mapped,
    "memory": lambda: io.BytesIO(CONTENT),
    "no-number": lambda: NoNumber(CONTENT),
    "odd": lambda: Odd(opened("rb").name, "rb"),
    "upper": Upper,
    "temporary": lambda: filled(tempfile.TemporaryFile()),
    "named-temporary": lambda: filled(tempfile.NamedTemporaryFile()),
    "spooled": lambda: filled(tempfile.SpooledTemporaryFile(max_size=10_000_000)),
    "spooled-to-disk": lambda: filled(tempfile.SpooledTemporaryFile(max_size=10)),
    # What cannot be read as bytes.
    "write-only": lambda: opened("wb"),
    "raw-write-only": lambda: opened("wb", buffering=0),
    "write-only-number": lambda: io.FileIO(os.open(opened("rb").name, os.O_WRONLY), "rb"),
    "text": lambda: opened("r"),
    "closed": lambda: closed(opened("rb")),
    "raw-closed": lambda: closed(opened("rb", buffering=0)),
    "detached": lambda: (lambda file: (file.detach(), file)[1])(opened("rb")),
}


def wrapped(environ, start_response):
    name = environ["PATH_INFO"].rpartition("/")[2]
    fields = [("Content-Length", length)] if (length := environ["QUERY_STRING"]) else []
    start_response("200 OK", [("Content-Type", "text/plain"), *fields])
    return environ["wsgi.file_wrapper"](KINDS[name]())


def read(environ, start_response):
    file = KINDS[environ["PATH_INFO"].rpartition("/")[2]]()
    content = file.read()
    file.close()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [content]


def shrinking(environ, start_response):
    """A file that loses its end while it is being sent."""
    path = GATES / "shrinking"
    path.write_bytes(b"s" * 20_000_000)

    def shorten():
        wait_at("shrink")
        os.truncate(path, 10_000_000)
        mark("shrunk")

    threading.Thread(target=shorten).start()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](path.open("rb"))


def application(environ, start_response):
    view = {"wrapped": wrapped, "read": read, "shrinking": shrinking}.get(environ["PATH_INFO"].split("/")[1])
    if view:
        return view(environ, start_response)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]
