"""Fixtures: servers that end with their test, and the two worker classes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent

import pytest
from harness import KINDS, Serve, Server
from harness.parity import apply

#: The servers that a test used, so that a failure can show their logs.
_servers = pytest.StashKey[list[Server]]()


@pytest.fixture
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Serve]:
    """Servers of one test."""
    with ExitStack() as stack:
        yield Serve(tmp_path, stack, request.node.stash.setdefault(_servers, []))


@pytest.fixture(scope="module")
def serve_module(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Servers that the tests of a file share, because they only ask."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("module")
        yield Serve(folder, stack, request.node.stash.setdefault(_servers, []))


@pytest.fixture(params=KINDS, scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    """Each worker class in turn."""
    return request.param


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file below `tmp_path`; its text may be indented as the test is."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    return write


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of a failed test's servers."""
    report = yield
    if report.failed:
        for node in item.listchain():
            for server in node.stash.get(_servers, []):
                title = f"log of {' '.join(server.command)}"
                report.sections.append((title, server.log[-8000:]))
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not compared, where another server than Oxicorn is under test."""
    if left_out := apply(items):
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=left_out)
