"""Where the threads, asyncio tasks and greenlets of a worker stand, as text for the log and for operators."""

from __future__ import annotations

import gc
import linecache
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from types import FrameType

#: The most that is told of each.
FRAMES, TASKS, GREENLETS = 60, 200, 200

_loops: list[asyncio.AbstractEventLoop] = []


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Tell the tasks of `loop` too."""
    _loops[:] = [known for known in _loops if not known.is_closed()] + [loop]


def text(apart: int | None = -1) -> str:
    """Threads, tasks and greenlets, each with its stack, the innermost frame last.

    The thread `apart` is left out: the one that asks, unless it is said otherwise.
    """
    return "".join(_threads(threading.get_ident() if apart == -1 else apart)) + waiting()


def waiting() -> str:
    """The tasks and greenlets that wait."""
    return "".join(_tasks()) + "".join(_greenlets())


def _threads(apart: int | None) -> Iterator[str]:
    known = {thread.ident: thread for thread in list(threading._active.values())}  # type: ignore[attr-defined]
    for ident, frame in sys._current_frames().items():
        if ident == apart:
            continue
        thread = known.get(ident)
        name = thread.name if thread else "not made by threading"
        native = f", id {thread.native_id}" if thread and thread.native_id else ""
        yield f"Thread {name}{native}:\n{_stack(_frames(frame))}"


def _frames(frame: FrameType | None) -> list[tuple[str, int, str]]:
    found: list[tuple[str, int, str]] = []
    while frame is not None and len(found) < FRAMES:
        found.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return found[::-1]


def _stack(frames: list[tuple[str, int, str]]) -> str:
    lines = []
    for file, number, function in frames:
        lines.append(f'  File "{file}", line {number}, in {function}\n')
        if source := linecache.getline(file, number).strip():
            lines.append(f"    {source}\n")
    return "".join(lines) or "  (no Python)\n"


def _tasks() -> Iterator[str]:
    for loop in _loops:
        # Where there is a loop it is imported. A worker without one must not import the project's `asyncio.py`.
        import asyncio

        try:
            tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
        except RuntimeError:  # It is changing all the time.
            continue
        for task in tasks[:TASKS]:
            try:
                told = chain(task)
            except Exception as error:  # What is awaited is the application's.
                told = f"  ({type(error).__name__})\n"
            yield f"Task {task.get_name()}:\n{told}"
        if len(tasks) > TASKS:
            yield f"({len(tasks) - TASKS} more tasks)\n"


def chain(task: asyncio.Task[Any]) -> str:
    """The await chain of a task: what it runs, what that awaits, and so on to what it waits for."""
    frames: list[tuple[str, int, str]] = []
    awaited: Any = task.get_coro()
    while awaited is not None and len(frames) < FRAMES:
        kind = next((kind for kind in ("cr", "gi", "ag") if hasattr(awaited, f"{kind}_frame")), None)
        if kind is None:
            break
        if frame := getattr(awaited, f"{kind}_frame"):
            frames.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
    waits = "" if awaited is None else f"  waits for {_name(awaited)}\n"
    return _stack(frames) + waits


def _name(awaited: Any) -> str:
    import asyncio

    if issubclass(type(awaited), asyncio.Task):
        return f"task {awaited.get_name()}"
    return f"{type(awaited).__module__}.{type(awaited).__qualname__}"


def _greenlets() -> Iterator[str]:
    module = sys.modules.get("greenlet")
    if module is None:
        return
    count = 0
    for thing in gc.get_objects():
        # `isinstance` asks for `__class__`, which in proxies and lazy objects is the application's code.
        if not issubclass(type(thing), module.greenlet) or thing.gr_frame is None:
            continue
        frames = _frames(thing.gr_frame)
        # One that waits for a request has nothing but frames of the library.
        if not frames or all("/gevent/" in file or "/greenlet/" in file for file, _, _ in frames):
            continue
        count += 1
        if count <= GREENLETS:
            yield f"Greenlet {getattr(thing, 'name', None) or type(thing).__name__}:\n{_stack(frames)}"
    if count > GREENLETS:
        yield f"({count - GREENLETS} more greenlets)\n"
