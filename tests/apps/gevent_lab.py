"""An application for gevent workers."""

from __future__ import annotations

import contextvars
import http.client
import os
import sys
import threading
import time
from pathlib import Path

import gevent
import gevent.monkey
from gevent.lock import BoundedSemaphore

MARKS = Path(os.environ["LAB_GATES"])
PATCHED_AT_IMPORT = gevent.monkey.is_module_patched("socket")
(MARKS / f"imported-{os.getpid()}").write_text(str(PATCHED_AT_IMPORT))

local = threading.local()
variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
crowd = {"present": 0, "most": 0}
kept: list[object] = []
killed: list[str] = []


def gate(name: str) -> None:
    (MARKS / f"{name}.entered").touch()
    while not (MARKS / f"{name}.open").exists():
        time.sleep(0.01)


def answer(start_response, text: str):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


def app(environ, start_response):
    view, _, rest = environ["PATH_INFO"][1:].partition("/")
    found = globals().get(f"view_{view or 'root'}")
    return found(environ, start_response, rest)


def view_root(environ, start_response, _rest):
    return answer(start_response, f"{environ['wsgi.multithread']} {PATCHED_AT_IMPORT} {os.getpid()}")


def view_crowd(_environ, start_response, rest):
    """Answers when so many are inside at the same time."""
    crowd["present"] += 1
    crowd["most"] = max(crowd["most"], crowd["present"])
    while crowd["most"] < int(rest):
        time.sleep(0.01)
    crowd["present"] -= 1
    return answer(start_response, "together")


def view_traces(_environ, start_response, _rest):
    """What an earlier request has left in the greenlet."""
    seen = (getattr(local, "value", 0), variable.get())
    local.value = 1
    variable.set(1)
    return answer(start_response, repr(seen))


def view_gate(_environ, start_response, rest):
    gate(rest)
    return answer(start_response, "through")


def view_alarm(_environ, start_response, rest):
    """Leaves a time-out running, which is this request's alone."""
    gevent.Timeout(float(rest)).start()
    return answer(start_response, "set")


def view_which(_environ, start_response, _rest):
    return answer(start_response, str(id(gevent.getcurrent())))


def view_keep(_environ, start_response, _rest):
    kept.append(gevent.getcurrent())
    return answer(start_response, str(id(gevent.getcurrent())))


def view_dead(_environ, start_response, _rest):
    return answer(start_response, repr([greenlet.dead for greenlet in kept]))


def view_kill(_environ, start_response, _rest):
    raise gevent.GreenletExit


def view_kill_kept(_environ, start_response, _rest):
    gevent.killall(kept, timeout=5)
    return answer(start_response, repr([greenlet.dead for greenlet in kept]))


def view_block(_environ, start_response, rest):
    """Blocks the hub, as C does."""
    gevent.monkey.get_original("time", "sleep")(float(rest))
    return answer(start_response, "blocked")


def view_stream(_environ, start_response, rest):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (b"x" * 65536 for _ in range(int(rest)))


def view_written(_environ, start_response, rest):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(int(rest)):
        write(b"x" * 65536)
    return []


def view_whole(_environ, start_response, rest):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"x" * 65536 * int(rest)]


def view_ask(environ, start_response, rest):
    """Asks this worker itself, over a socket that would block."""
    connection = http.client.HTTPConnection("127.0.0.1", int(environ["SERVER_PORT"]), timeout=10)
    connection.request("GET", f"/{rest}")
    return answer(start_response, connection.getresponse().read().decode())


def view_read(environ, start_response, _rest):
    time.sleep(0.01)
    return answer(start_response, str(len(environ["wsgi.input"].read())))


def view_interleaved(_environ, start_response, rest):
    """Waits before, within and after each native callable, so that those of others run in between."""
    rounds = int(rest)
    gevent.sleep(0)
    write = start_response("200 OK", [Pausing("X-A", "b")])
    gevent.sleep(0)
    write(b"w")

    class Body:
        def __iter__(self):
            for number in range(rounds):
                gevent.sleep(0.001 * (number % 3))
                yield b"."

        def close(self):
            gevent.sleep(0)

    return Body()


class Pausing(tuple):
    """A field that lets others run while it is read."""

    def __new__(cls, name, value):
        return super().__new__(cls, (name, value))

    def __iter__(self):
        gevent.sleep(0)
        return super().__iter__()


def view_victim(environ, start_response, rest):
    """Waits in the callable that is named, to be killed there; writes down that it was unwound."""
    kept.append(gevent.getcurrent())
    MARKS.joinpath(f"victim-{rest}").touch()

    class Endless(str):
        pass

    class Fields:
        def __iter__(self):
            try:
                gevent.sleep(60)
            finally:
                killed.append("fields")
            return iter(())

    class Body:
        def __iter__(self):
            return self

        def __next__(self):
            try:
                gevent.sleep(60)
            finally:
                killed.append("next")

        def close(self):
            killed.append("close")

    if rest == "view":
        try:
            gevent.sleep(60)
        finally:
            killed.append("view")
    start_response("200 OK", Fields() if rest == "fields" else [])
    return Body()


def view_killed(_environ, start_response, _rest):
    return answer(start_response, repr(killed))


def view_fork(_environ, start_response, _rest):
    """A child that waits by the hub, and ends."""
    child = os.fork()
    if child == 0:
        gevent.sleep(0.2)
        os._exit(7)
    _, status = os.waitpid(child, 0)
    return answer(start_response, str(os.waitstatus_to_exitcode(status)))


def view_locked(_environ, start_response, _rest):
    with semaphore:
        time.sleep(0.01)
    return answer(start_response, "locked")


semaphore = BoundedSemaphore(1)


def view_exit(_environ, start_response, _rest):
    sys.exit(0)


def view_thread(_environ, start_response, _rest):
    names = [threading.current_thread().name]
    thread = threading.Thread(target=lambda: (time.sleep(0.01), names.append("ran")))
    thread.start()
    thread.join()
    return answer(start_response, names[1])


def view_socket(environ, start_response, _rest):
    """Takes the socket, and speaks for itself."""
    sock = environ["gunicorn.socket"]
    sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    (MARKS / "taken").touch()
    data = sock.recv(100)
    sock.sendall(data.upper())
    sock.close()
    raise StopIteration
