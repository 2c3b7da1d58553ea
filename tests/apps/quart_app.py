"""Quart: requests, streams, start and end, WebSockets."""

from __future__ import annotations

import os
from pathlib import Path

from quart import Quart, abort, request, websocket

GATES = Path(os.environ["LAB_GATES"])
app = Quart(__name__)


@app.before_serving
async def start():
    app.config["STARTED"] = True


@app.after_serving
async def end():
    (GATES / "quart.ended").touch()


@app.get("/")
async def hello():
    return {"started": app.config["STARTED"], "args": request.args.to_dict(), "scheme": request.scheme}


@app.post("/echo")
async def echo():
    return await request.get_data()


@app.post("/form")
async def form():
    files = await request.files
    return {"form": (await request.form).to_dict(), "size": len(files["file"].read())}


@app.get("/stream")
async def stream():
    async def pieces():
        for number in range(100):
            yield f"{number}\n".encode()

    return pieces()


@app.get("/fails")
async def fails():
    raise RuntimeError("a view that fails")


@app.websocket("/talk")
async def talk():
    if "refuse" in websocket.args:
        abort(401)
    await websocket.accept(subprotocol="chat", headers={"X-Talk": "yes"})
    while (message := await websocket.receive()) != "bye":
        await websocket.send(message[::-1])
    await websocket.close(4001, "so long")
