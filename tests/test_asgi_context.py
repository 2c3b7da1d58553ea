"""What libraries see of the task in which a request runs: anyio, sniffio, asyncio's time-outs, OpenTelemetry."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import Serve, Server, eventually

pytest.importorskip("opentelemetry.instrumentation.asgi")
pytest.importorskip("sniffio")


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest, serve_module: Serve) -> Server:
    pytest.importorskip(request.param)
    return serve_module("context_app", "-k", "asgi", "--asgi-loop", request.param)


def test_cancel_scopes_and_time_outs_work_in_the_task_of_a_request(server: Server) -> None:
    seen = {"sniffio": "asyncio", "task": True, "anyio": True, "same": True}
    seen |= {"state": "CORO_RUNNING", "runs": True}
    if sys.version_info >= (3, 11):
        seen["asyncio"] = True
    assert server.get("/libraries").json() == seen


def test_the_context_of_a_request_reaches_its_children_and_nobody_else(server: Server) -> None:
    def ask(name: str) -> dict:
        return server.get(f"/context/{name}").json()

    names = [f"n{number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, names))
    assert answers == [{"before": "nobody", "heard": [name] * 3, "after": name} for name in names]


def test_each_request_has_a_trace_of_its_own(server: Server) -> None:
    traces = [f"{number:032x}" for number in range(1, 17)]

    def ask(trace: str) -> dict:
        return server.get("/traced", fields=[("traceparent", f"00-{trace}-{1:016x}-01")]).json()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, traces))
    assert answers == [{"trace": trace, "same": True} for trace in traces]
    eventually(lambda: set(traces) <= set(server.get("/spans").json()))
