"""Starlette: lifespan state, streams, files, uploads, background tasks, a client that leaves, WebSockets."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

GATES = Path(os.environ["LAB_GATES"])


@asynccontextmanager
async def lifespan(_):
    yield {"pool": "open"}
    (GATES / "pool.closed").touch()


async def hello(request: Request):
    return JSONResponse({"pool": request.state.pool, "client": request.client.host, "url": str(request.url)})


async def echo(request: Request):
    return PlainTextResponse(await request.body())


async def count(request: Request):
    total = 0
    async for piece in request.stream():
        total += len(piece)
    return JSONResponse({"total": total})


async def stream(_):
    async def pieces():
        for number in range(100):
            yield f"{number}\n"

    return StreamingResponse(pieces(), media_type="text/plain")


async def endless(_):
    async def pieces():
        try:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.01)
        finally:
            (GATES / "endless.closed").touch()

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def file(_):
    return FileResponse(__file__)


async def later(_):
    async def work():
        await asyncio.sleep(0.05)
        (GATES / "later.worked").touch()

    return PlainTextResponse("accepted", background=BackgroundTask(work))


async def fails(_):
    raise RuntimeError("a view that fails")


async def add_field(request, call_next):
    response = await call_next(request)
    response.headers["X-Middleware"] = "yes"
    return response


async def talk(socket: WebSocket):
    await socket.accept(subprotocol="chat", headers=[(b"x-pool", socket.state.pool.encode())])
    try:
        while (text := await socket.receive_text()) != "bytes":
            await socket.send_text(f"{socket.path_params['room']}: {text}")
        await socket.send_bytes(await socket.receive_bytes())
        await socket.receive_text()
    except WebSocketDisconnect as left:
        (GATES / f"{socket.path_params['room']}.{left.code}.{left.reason}").touch()


async def deny(socket: WebSocket):
    await socket.send_denial_response(JSONResponse({"error": "no room"}, status_code=404))


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", hello),
        Route("/echo", echo, methods=["POST"]),
        Route("/count", count, methods=["POST"]),
        Route("/stream", stream),
        Route("/endless", endless),
        Route("/file", file),
        Route("/later", later),
        Route("/fails", fails),
        WebSocketRoute("/talk/{room}", talk),
        WebSocketRoute("/deny", deny),
        Mount("/static", StaticFiles(directory=Path(__file__).parent)),
    ],
)
app.add_middleware(BaseHTTPMiddleware, dispatch=add_field)
