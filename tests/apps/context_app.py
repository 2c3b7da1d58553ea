"""What libraries rely on inside a request: the current task, its context, cancel scopes, the loop's name."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import sys

import anyio
import anyio.to_thread
import sniffio
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")
FINISHED = InMemorySpanExporter()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(SimpleSpanProcessor(FINISHED))


async def libraries(_: str) -> dict[str, object]:
    task = asyncio.current_task()
    seen: dict[str, object] = {"sniffio": sniffio.current_async_library(), "task": task in asyncio.all_tasks()}
    seen["state"] = inspect.getcoroutinestate(task.get_coro())
    seen["runs"] = task.get_stack()[-1].f_code is OpenTelemetryMiddleware.__call__.__code__
    with anyio.move_on_after(0.05) as scope:
        await anyio.sleep(10)
    seen["anyio"] = scope.cancelled_caught
    if sys.version_info >= (3, 11):
        try:
            async with asyncio.timeout(0.05):
                await asyncio.sleep(10)
        except TimeoutError:
            seen["asyncio"] = True
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 0)
    seen["same"] = task is asyncio.current_task()
    return seen


async def context(name: str) -> dict[str, object]:
    before = NAME.get()
    NAME.set(name)
    heard: list[str] = []

    async def child() -> None:
        await anyio.sleep(0.01)
        heard.append(NAME.get())
        NAME.set("a child's own")

    async with anyio.create_task_group() as group:
        group.start_soon(child)
        group.start_soon(child)
    heard.append(await anyio.to_thread.run_sync(NAME.get))
    return {"before": before, "heard": heard, "after": NAME.get()}


async def traced(_: str) -> dict[str, object]:
    first = trace.get_current_span().get_span_context()
    await asyncio.sleep(0.01)
    second = trace.get_current_span().get_span_context()
    return {"trace": f"{first.trace_id:032x}", "same": first == second}


async def spans(_: str) -> dict[str, object]:
    return {f"{span.context.trace_id:032x}": span.name for span in FINISHED.get_finished_spans()}


VIEWS = {"libraries": libraries, "context": context, "traced": traced, "spans": spans}


async def plain(scope, receive, send):
    assert scope["type"] == "http"
    _, name, rest = (scope["path"] + "/").split("/", 2)
    view = VIEWS.get(name)
    body = json.dumps(await view(rest.rstrip("/")) if view else {}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


application = OpenTelemetryMiddleware(plain, tracer_provider=PROVIDER)
