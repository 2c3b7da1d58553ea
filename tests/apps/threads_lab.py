"""Views that look at their thread, and views that start threads which outlive them."""

from __future__ import annotations

import concurrent.futures
import ctypes
import faulthandler
import functools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

GATES = Path(os.environ.get("LAB_GATES", "."))
faulthandler.enable()


def note(name: str) -> None:
    (GATES / name).touch()


def wait_at(name: str) -> None:
    note(f"{name}.entered")
    while not (GATES / f"{name}.open").exists():
        time.sleep(0.005)
    note(f"{name}.left")


def blocked() -> str:
    """How many signals the calling thread blocks."""
    return str(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))


def blocked_in_a_thread() -> str:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(blocked).result()


def describe() -> str:
    thread = threading.current_thread()
    return json.dumps(
        {
            "class": type(thread).__name__,
            "daemon": thread.daemon,
            "inherited": threading.Thread().daemon,
            "name": thread.name,
            "ident": thread.ident == threading.get_ident(),
            "listed": thread in threading.enumerate(),
        }
    )


def faults_blocked_anywhere() -> str:
    """The threads of this process that block a signal which a fault raises."""
    faults = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGSYS)
    wrong = []
    for task in Path("/proc/self/task").iterdir():
        status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        mask = int(status["SigBlk"], 16)
        if any(mask & 1 << (number - 1) for number in faults):
            wrong.append(status["Name"].strip())
    return json.dumps(wrong)


def stack_kib() -> str:
    """The size of the calling thread's stack."""
    libc, attributes = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_self.restype = ctypes.c_ulong
    assert libc.pthread_getattr_np(ctypes.c_ulong(libc.pthread_self()), attributes) == 0
    start, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert libc.pthread_attr_getstack(attributes, ctypes.byref(start), ctypes.byref(size)) == 0
    return str(size.value // 1024)


def partials(depth: int) -> int:
    return 0 if depth == 0 else functools.partial(partials, depth - 1)()


def recurse(depth: str) -> str:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        partials(int(depth))
    except RecursionError:
        return "RecursionError"
    finally:
        sys.setrecursionlimit(before)
    return "done"


def crash() -> str:
    os.kill(os.getpid(), 0)
    return ctypes.string_at(0).decode()


def start_thread(name: str) -> str:
    threading.Thread(target=wait_at, args=(name,), name=f"reporter of {name}").start()
    return str(os.getpid())


POOL: list[concurrent.futures.ThreadPoolExecutor] = []


def start_executor(name: str) -> str:
    POOL.append(concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="jobs"))
    POOL[-1].submit(wait_at, name)
    return str(os.getpid())


def stand(name: str) -> str:
    wait_at(name)
    return str(os.getpid())


WAYS: dict[str, Callable[..., str]] = {
    "pid": lambda: str(os.getpid()),
    "blocked": blocked,
    "blocked-in-a-thread": blocked_in_a_thread,
    "describe": describe,
    "faults": faults_blocked_anywhere,
    "recurse": recurse,
    "stack": stack_kib,
    "crash": crash,
    "thread": start_thread,
    "executor": start_executor,
    "stand": stand,
}


def wsgi(environ, start_response):
    way, _, argument = environ["PATH_INFO"].strip("/").partition("/")
    body = WAYS[way or "pid"](*[argument][: bool(argument)]).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    way, _, argument = scope["path"].strip("/").partition("/")
    body = WAYS[way or "pid"](*[argument][: bool(argument)]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
