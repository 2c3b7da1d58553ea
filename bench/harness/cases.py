"""The cases: a request, the application that answers it, and the only answer that counts."""

from __future__ import annotations

import dataclasses
import pathlib

BENCH = pathlib.Path(__file__).resolve().parent.parent
APPS = BENCH / "apps"
LUA = BENCH / "lua"


@dataclasses.dataclass(frozen=True)
class Case:
    """One request to measure. Its application is `module` in apps/, or else the one of its own name."""

    name: str
    title: str
    interface: str
    answer: bytes
    request_body: bytes | None = None
    # The script that makes wrk send `request_body`.
    script: str | None = None
    # A case that is about many connections at once says how many; the others take what the run is told.
    connections: int | None = None
    # Members of a room of WebSockets instead of wrk's requests; a "request" is then a message that one of them heard.
    is_room: bool = False
    # Each member of the room hears only what it said itself.
    is_echoed: bool = False
    # A streamed answer has no Content-Length.
    is_streamed: bool = False
    # The module in apps/ where several cases share one.
    module: str | None = None

    @property
    def method(self) -> str:
        """A request with a body is a POST."""
        return "GET" if self.request_body is None else "POST"

    @property
    def application(self) -> str:
        """The module in apps/ that answers."""
        return self.module or self.name

    def scripts(self) -> list[pathlib.Path]:
        """The Lua scripts which wrk runs at its start, in order."""
        own = [LUA / self.script] if self.script else []
        return [*own, LUA / "report.lua"]


CHAT = b"a message of 64 bytes, as long as a short line of a chat can be."
HELLO = b"Hello, world!"
PAGE = bytes(range(32, 112)) * 128
# Equal to the body that lua/echo.lua sends.
UPLOAD = b"0123456789abcdef" * 640
ECHO = {"request_body": UPLOAD, "script": "echo.lua"}
ROWS = b'{"rows": [["row 0", 0], ["row 1", 1], ["row 2", 4], ["row 3", 9], ["row 4", 16]]}'
JSON = b'{"id":7,"name":"oxicorn","tags":["fast","plain"],"price":12.5}'
EVENTS = b"".join(b"data: this is event number %d\n\n" % number for number in range(10, 30))

CASES = {
    case.name: case
    for case in (
        Case("hello", "WSGI: GET, 13 bytes", "wsgi", HELLO),
        Case("big", "WSGI: GET, 10 KB", "wsgi", PAGE),
        Case("echo", "WSGI: POST, 10 KB echoed", "wsgi", UPLOAD, **ECHO),
        Case("flask_json", "WSGI: GET, JSON from Flask", "wsgi", JSON),
        Case("django_orm", "WSGI: GET, five rows of SQLite by Django's ORM", "wsgi", ROWS),
        Case("asgi_hello", "ASGI: GET, 13 bytes", "asgi", HELLO),
        Case("asgi_big", "ASGI: GET, 10 KB", "asgi", PAGE),
        Case("asgi_echo", "ASGI: POST, 10 KB echoed", "asgi", UPLOAD, **ECHO),
        Case("asgi_fastapi", "ASGI: GET, JSON from FastAPI", "asgi", JSON),
        *(
            Case(
                f"asgi_fastapi_{connections}",
                f"ASGI: GET, JSON from FastAPI, {connections} connections",
                "asgi",
                JSON,
                connections=connections,
                module="asgi_fastapi",
            )
            for connections in (1, 4, 64)
        ),
        Case("asgi_starlette", "ASGI: GET, JSON from Starlette", "asgi", JSON),
        Case("asgi_litestar", "ASGI: GET, JSON from Litestar", "asgi", JSON),
        Case("asgi_django", "ASGI: GET, JSON from an async view of Django", "asgi", JSON),
        Case("asgi_sleep", "ASGI: GET, 10 ms of sleep, 512 connections", "asgi", HELLO, connections=512),
        Case("asgi_events", "ASGI: GET, 20 server-sent events", "asgi", EVENTS, is_streamed=True),
        Case("ws_broadcast", "WebSocket: 64 bytes to each of 32 members", "asgi", CHAT, connections=32, is_room=True),
        Case(
            "ws_echo",
            "WebSocket: 64 bytes back to each of 32 clients",
            "asgi",
            CHAT,
            connections=32,
            is_room=True,
            is_echoed=True,
        ),
    )
}
