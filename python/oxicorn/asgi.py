"""What an ASGI worker does in Python: its event loop, the lifespan of its application, and the end of both."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from oxicorn import stacks
from oxicorn.app_loader import BOOT_ERROR
from oxicorn.dialect import dialect
from oxicorn.errors import AppError, user_traceback

Message = MutableMapping[str, Any]
Application = Callable[..., Awaitable[None]]

_log = logging.getLogger("gunicorn.error")

_BEAT_S = 1.0
"""How often a start-up says that its loop turns."""


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    """Make the event loop that `asgi_loop` asks for, and the current one of this thread."""
    library: Any = asyncio
    if kind != "asyncio":
        try:
            library = importlib.import_module("uvloop")
        except ImportError as error:
            if kind == "uvloop":
                hint = "pip install uvloop, or leave asgi_loop at auto"
                raise AppError("asgi_loop: uvloop cannot be imported", hint, exit_code=BOOT_ERROR) from error
    loop: asyncio.AbstractEventLoop = library.new_event_loop()
    asyncio.set_event_loop(loop)
    stacks.watch(loop)
    return loop


def single_callable(application: Any) -> Application:
    """Return `application` as ASGI 3 calls it; one of ASGI 2 is wrapped."""
    if dialect(application) != "asgi2":
        return application  # type: ignore[no-any-return]
    _log.info("It is an application of ASGI 2, which is called twice")

    async def application_of_two_calls(scope: Message, receive: Any, send: Any) -> None:
        await application(scope)(receive, send)

    return application_of_two_calls


async def call_apart(application: Application, scope: Message, receive: Any, send: Any) -> None:
    """Call an application that is no `async def` within the task and the context of its request."""
    await application(scope, receive, send)


async def receive() -> Message:
    """What `receive` looks like to those who ask; it is native."""
    raise NotImplementedError


async def send(message: Message) -> None:
    """What `send` looks like to those who ask; it is native."""
    raise NotImplementedError


def mark_coroutine_function(native: type, model: Callable[..., Any]) -> None:
    """Have instances of `native` pass for coroutine functions like `model`.

    asgiref warns of a `send` that is none, and others choose by it how to call. Before Python 3.12 `inspect` asks the
    code object, which it takes from everything that has the attributes of a function.
    """
    for name in ("__code__", "__defaults__", "__kwdefaults__", "__annotations__", "__doc__"):
        setattr(native, name, getattr(model, name))
    if sys.version_info < (3, 12):
        native._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


class _NoContext:
    """Stands where a handle of the loop has its context: the callback runs in the one that is there."""

    def run(self, callback: Callable[..., None], *arguments: Any) -> None:
        callback(*arguments)


def watch(loop: asyncio.AbstractEventLoop, descriptor: int, turn: Callable[[], None]) -> None:
    """Have `loop` call `turn` once, and whenever `descriptor` is readable.

    An application that runs the loop inside a handler (nest_asyncio) has it call `turn` while `turn` runs. asyncio
    would enter the context of its handle a second time, which Python refuses, and no client would be served until the
    handler is done. uvloop's loop cannot be run inside a handler.
    """
    loop.add_reader(descriptor, turn)
    if isinstance(loop, asyncio.SelectorEventLoop):
        with contextlib.suppress(AttributeError, KeyError, TypeError):
            handle, _ = loop._selector.get_key(descriptor).data  # type: ignore[attr-defined]
            handle._context = _NoContext()
    # The first look is what has the server accept clients.
    loop.call_soon(turn)


class Lifespan:
    """The part of ASGI that tells an application of its worker's start and end."""

    def __init__(self, application: Application, mode: str) -> None:
        """`mode` is the setting `asgi_lifespan`."""
        self.state: dict[str, Any] = {}
        self._application = application
        self._mode = mode
        self._asked = self._stopping = self._told = False
        # What is asked and not answered yet: an answer to anything else would be taken for the next one's.
        self._open: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()

    def start(self, loop: asyncio.AbstractEventLoop, beat: Callable[[], None]) -> None:
        """Wait until the application has started, or raise `AppError`. While the loop turns it calls `beat`."""
        if self._mode != "off":
            loop.run_until_complete(self._start_alive(beat))

    async def _start_alive(self, beat: Callable[[], None]) -> None:
        async def beat_on() -> None:
            while True:
                beat()
                await asyncio.sleep(_BEAT_S)

        beating = asyncio.ensure_future(beat_on())
        try:
            await self.startup()
        finally:
            beating.cancel()

    def stop(self, loop: asyncio.AbstractEventLoop, patience_s: float) -> None:
        """Wait until the application has ended, within `patience_s`."""
        if self._task is not None:
            loop.run_until_complete(self.shutdown(patience_s))

    async def startup(self) -> None:
        """Wait until the application has started, or raise `AppError`."""
        if self._mode == "off":
            return
        self._task = asyncio.ensure_future(self._run())
        answer = await self._ask("lifespan.startup", None)
        if answer is not None and answer["type"] == "lifespan.startup.complete":
            assert self._task is not None
            self._task.add_done_callback(self._tell_of_a_crash)
            return
        task, self._task = self._task, None
        if answer is not None:
            # Frameworks raise after they have answered, and their message holds the traceback already.
            await asyncio.wait({task}, timeout=1)
            await _cancel({task})
            reason = str(answer.get("message") or "").rstrip() or _reason(task)
            raise AppError(f"the application failed to start (lifespan.startup.failed)\n{reason}", exit_code=BOOT_ERROR)
        if self._mode == "on":
            report = f"the application ended its lifespan before it had started\n{_reason(task)}"
            raise AppError(report, exit_code=BOOT_ERROR)
        reason = _reason(task)
        if self._asked:
            _log.warning("The application did not answer lifespan.startup; it gets no lifespan.\n%s", reason)

    def _tell_of_a_crash(self, task: asyncio.Task[None]) -> None:
        if not self._stopping and (reason := _reason(task)):
            self._told = True
            _log.error("The application's lifespan ended while it serves; it gets no lifespan.shutdown\n%s", reason)

    async def shutdown(self, patience_s: float) -> None:
        """Wait until the application has ended, within `patience_s`."""
        if self._task is None:
            return
        self._stopping = True
        try:
            answer = await self._ask("lifespan.shutdown", patience_s)
        except (asyncio.TimeoutError, TimeoutError):
            _log.error("The application did not end within %.1f s (lifespan.shutdown)", patience_s)
            return
        if answer is not None and answer["type"] == "lifespan.shutdown.failed":
            _log.error("The application failed to end (lifespan.shutdown.failed)\n%s", answer.get("message") or "")
        elif answer is None and self._task is not None and _reason(self._task) and not self._told:
            _log.error("The application failed to end\n%s", _reason(self._task))

    async def _ask(self, event: str, patience_s: float | None) -> Message | None:
        """Send `event` and return the application's answer, or None where it ends without one."""
        self._open = event
        self._events.put_nowait({"type": event})
        answer = asyncio.ensure_future(self._answers.get())
        task = self._task
        assert task is not None
        done, _ = await asyncio.wait({answer, task}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            answer.cancel()
            raise TimeoutError
        # The application may have answered and returned at once.
        await asyncio.sleep(0)
        if answer.done():
            return answer.result()
        answer.cancel()
        return None

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._application(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        self._asked = True
        return await self._events.get()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._open is None or kind not in (f"{self._open}.complete", f"{self._open}.failed"):
            raise RuntimeError(f"a lifespan cannot send a message of the type {kind!r} now")
        self._open = None
        self._answers.put_nowait(message)


def _reason(task: asyncio.Task[None]) -> str:
    """Return the traceback of what ended `task`, or nothing."""
    if not task.done() or task.cancelled():
        return ""
    error = task.exception()
    return "" if error is None else user_traceback(error)


def finish(loop: asyncio.AbstractEventLoop, tasks: Iterable[asyncio.Task[Any]], patience_s: float) -> None:
    """Let the requests' `tasks` end within `patience_s`, then cancel them."""
    loop.run_until_complete(finish_all(set(tasks), patience_s))


async def finish_all(tasks: set[asyncio.Task[Any]], patience_s: float) -> None:
    """Let `tasks` end within `patience_s`, then cancel them."""
    if tasks and patience_s > 0:
        _, tasks = await asyncio.wait(tasks, timeout=patience_s)
    await _cancel(tasks)


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=1)


def close(loop: asyncio.AbstractEventLoop) -> None:
    """End what the application has left in the loop, as `asyncio.run` does."""
    loop.run_until_complete(_cancel(asyncio.all_tasks(loop)))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
