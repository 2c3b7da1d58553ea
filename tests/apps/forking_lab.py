"""Views that fork, and children that do everything but leave quietly. WSGI as `wsgi`, ASGI as `asgi`."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

GATES = Path(os.environ.get("LAB_GATES", "."))


def note(name: str) -> None:
    (GATES / name).touch()


def wait_at(name: str) -> None:
    note(f"{name}.entered")
    while not (GATES / f"{name}.open").exists():
        time.sleep(0.005)


def leave_3() -> None:
    sys.exit(3)


def raise_one() -> None:
    raise ValueError("a child's own")


def come_back() -> None:
    pass


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave_quietly() -> None:
    os._exit(0)


def be_terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def linger() -> None:
    wait_at("child")
    os._exit(0)


CHILDREN: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (leave_3, raise_one, come_back, die, leave_quietly, be_terminated, linger)
}


def fork(name: str) -> int:
    """Fork; the child, whose pid is noted, does what `name` says, and may come back from it."""
    pid = os.fork()
    if pid == 0:
        note(f"forked-{os.getpid()}")
        CHILDREN[name]()
    return pid


def collect(pid: int) -> str:
    """How a child ended."""
    _, status = os.waitpid(pid, 0)
    return str(os.waitstatus_to_exitcode(status))


def fork_and_collect(name: str) -> str:
    pid = fork(name)
    return "from a child" if pid == 0 else collect(pid)


def fork_in_a_thread(name: str) -> str:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(fork_and_collect(name)))
    thread.start()
    thread.join()
    return found[0]


def fork_twice(name: str) -> str:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            note(f"forked-{os.getpid()}")
            CHILDREN[name]()
            return "from a grandchild"
        os._exit(0)
    return collect(pid)


def fork_in_c(name: str) -> str:
    """Fork past Python, as extensions do."""
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        note(f"forked-{os.getpid()}")
        CHILDREN[name]()
        return "from a child"
    return collect(pid)


def fork_and_leave_alone(name: str) -> str:
    pid = fork(name)
    return "from a child" if pid == 0 else str(pid)


def square(number: int) -> int:
    return number * number


def use_multiprocessing(method: str) -> str:
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        squares = pool.map(square, range(4))
    process = context.Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join()
    return f"{squares} {process.exitcode}"


def use_subprocess(_: str) -> str:
    code = "import signal; print(len(signal.pthread_sigmask(0, [])))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


WAYS: dict[str, Callable[[str], str]] = {
    "collect": fork_and_collect,
    "thread": fork_in_a_thread,
    "twice": fork_twice,
    "c": fork_in_c,
    "alone": fork_and_leave_alone,
    "multiprocessing": use_multiprocessing,
    "subprocess": use_subprocess,
}


def act(path: str) -> str:
    way, _, what = path.strip("/").partition("/")
    if way == "wait":
        wait_at(what)
        return str(os.getpid())
    return WAYS[way](what) if way in WAYS else str(os.getpid())


class Iteration:
    """A body that forks while it is sent, or when it is closed."""

    def __init__(self, where: str, name: str) -> None:
        self.where, self.name, self.left = where, name, 2

    def __iter__(self) -> Iteration:
        return self

    def __next__(self) -> bytes:
        if self.left == 0:
            raise StopIteration
        self.left -= 1
        if self.left == 0 and self.where == "body":
            pid = fork(self.name)
            return collect(pid).encode() if pid else b"from a child"
        return b"-"

    def close(self) -> None:
        if self.where == "close":
            pid = fork(self.name)
            if pid:
                collect(pid)


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    way, _, what = path.strip("/").partition("/")
    fields = [("Content-Type", "text/plain")]
    if way in ("body", "close"):
        start_response("200 OK", fields)
        return Iteration(way, what)
    if way == "upload":
        source = environ["wsgi.input"]
        begin = source.read(1000)
        pid = os.fork()
        if pid == 0:
            source.read(500_000)
            os._exit(0)
        body = f"{collect(pid)} {hashlib.sha256(begin + source.read()).hexdigest()}".encode()
        start_response("200 OK", [*fields, ("Content-Length", str(len(body)))])
        return [body]
    if way == "writes":
        pid = os.fork()
        write = start_response("200 OK", fields)
        if pid == 0:
            write(b"from a child")
            return [b"from a child"]
        return [collect(pid).encode()]
    body = act(path).encode()
    start_response("200 OK", [*fields, ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": fork_and_collect("come_back")})
        return await send({"type": "websocket.close"})
    if scope["type"] == "lifespan" and os.environ.get("FORKS_IN_LIFESPAN"):
        return await lifespan(receive, send)
    assert scope["type"] == "http"
    path = scope["path"]
    way, _, what = path.strip("/").partition("/")
    if way == "writes":
        pid = os.fork()
        answer = "from a child" if pid == 0 else collect(pid)
    elif way == "task":
        answer = await asyncio.create_task(in_a_task(what))
    elif way in ("multiprocessing", "subprocess", "executor", "wait"):
        way_in = f"collect/{what}" if way == "executor" else path
        answer = await asyncio.get_running_loop().run_in_executor(None, act, way_in)
    else:
        answer = act(path)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": answer.encode()})


async def lifespan(receive, send):
    for step in ("startup", "shutdown"):
        await receive()
        fork_and_collect("come_back")
        await send({"type": f"lifespan.{step}.complete"})


async def in_a_task(name: str) -> str:
    return fork_and_collect(name)
