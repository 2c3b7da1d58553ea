"""`--spew` prints every line of Python as it is executed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness import Serve, eventually

SOURCE = """
import threading

def application(environ, start_response):
    text = b"spoken"
    start_response("200 OK", [("Content-Length", "6")])
    return [text]
"""


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_lines_are_printed_as_they_are_executed(serve: Serve, tmp_path: Path, kind: str) -> None:
    (tmp_path / "traced.py").write_text(SOURCE)
    server = serve("traced", "--spew", cwd=tmp_path, kind=kind)
    assert server.get().text == "spoken"

    def lines() -> list[str]:
        return re.findall(r"^traced:\d+: .*$", server.out, re.MULTILINE)

    whole = [
        "traced:2: import threading",
        "traced:4: def application(environ, start_response):",
        'traced:5:     text = b"spoken"',
        'traced:6:     start_response("200 OK", [("Content-Length", "6")])',
        "traced:7:     return [text]",
    ]
    eventually(lambda: all(line in lines() for line in whole), what=lambda: repr(lines()))
    assert lines()[:2] == whole[:2]


def test_without_it_nothing_is_printed(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "traced.py").write_text(SOURCE)
    server = serve("traced", cwd=tmp_path)
    assert server.get().text == "spoken"
    assert server.out == ""
