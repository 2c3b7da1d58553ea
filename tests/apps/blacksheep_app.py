"""BlackSheep: handlers by annotation, streams, forms, lifespan."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from blacksheep import Application, Content, Request, Response, StreamedContent, get, post

GATES = Path(os.environ["LAB_GATES"])

app = Application()


@app.on_start
async def started(_: Application) -> None:
    (GATES / "blacksheep.started").touch()


@app.on_stop
async def ended(_: Application) -> None:
    (GATES / "blacksheep.ended").touch()


@get("/")
async def index(request: Request) -> dict[str, object]:
    return {"q": request.query, "client": request.client_ip}


@get("/items/{number}")
async def item(number: int) -> dict[str, int]:
    return {"number": number}


@post("/echo")
async def echo(request: Request) -> Response:
    return Response(200, content=Content(b"application/octet-stream", await request.read() or b""))


@post("/count")
async def count(request: Request) -> dict[str, int]:
    total = 0
    async for piece in request.stream():
        total += len(piece)
    return {"total": total}


@get("/stream")
async def stream() -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d\n" % number

    return Response(200, content=StreamedContent(b"text/plain", pieces))


@get("/fails")
async def fails() -> None:
    raise RuntimeError("a handler that fails")
