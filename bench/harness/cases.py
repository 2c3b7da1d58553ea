"""The cases: a request, the application that answers it, and the only answer that counts."""

from __future__ import annotations

import dataclasses
import pathlib

BENCH = pathlib.Path(__file__).resolve().parent.parent
APPS = BENCH / "apps"
LUA = BENCH / "lua"


@dataclasses.dataclass(frozen=True)
class Case:
    """One request to measure: `name` is also its module in apps/ and, for a POST, its script."""

    name: str
    title: str
    method: str
    request_body: bytes | None
    answer: bytes

    def scripts(self) -> list[pathlib.Path]:
        """The Lua scripts which wrk runs at its start, in order."""
        own = [LUA / f"{self.name}.lua"] if self.request_body is not None else []
        return [*own, LUA / "report.lua"]


# Equal to the body that lua/echo.lua sends.
UPLOAD = b"0123456789abcdef" * 640

CASES = {
    case.name: case
    for case in (
        Case("hello", "GET, 13 bytes", "GET", None, b"Hello, world!"),
        Case("big", "GET, 10 KB", "GET", None, bytes(range(32, 112)) * 128),
        Case("echo", "POST, 10 KB echoed", "POST", UPLOAD, UPLOAD),
    )
}
