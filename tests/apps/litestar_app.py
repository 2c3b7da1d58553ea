"""Litestar: typed handlers, streams, lifespan, WebSockets."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from litestar import Litestar, WebSocket, get, post, websocket, websocket_listener
from litestar.exceptions import NotAuthorizedException
from litestar.response import Stream

GATES = Path(os.environ["LAB_GATES"])


@asynccontextmanager
async def lifespan(_: Litestar) -> AsyncIterator[None]:
    yield
    (GATES / "litestar.ended").touch()


@get("/items/{number:int}")
async def item(number: int, q: str | None = None) -> dict[str, Any]:
    return {"number": number, "q": q}


@post("/echo")
async def echo(data: dict[str, Any]) -> dict[str, Any]:
    return data


@get("/stream")
async def stream() -> Stream:
    async def pieces() -> AsyncIterator[str]:
        for number in range(100):
            yield f"{number}\n"

    return Stream(pieces())


@get("/fails")
async def fails() -> None:
    raise RuntimeError("a handler that fails")


@websocket_listener("/listen")
async def listen(data: dict[str, Any]) -> dict[str, Any]:
    return {"heard": data}


@websocket("/talk")
async def talk(socket: WebSocket) -> None:
    if "refuse" in socket.query_params:
        raise NotAuthorizedException
    await socket.accept(subprotocols="chat")
    while (data := await socket.receive_bytes()) != b"bye":
        await socket.send_bytes(data[::-1])
    await socket.close(4001, "so long")


app = Litestar(route_handlers=[item, echo, stream, fails, listen, talk], lifespan=[lifespan])
