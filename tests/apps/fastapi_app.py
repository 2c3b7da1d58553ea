"""FastAPI: models, dependencies, threads for plain functions, forms and uploads, a chat over WebSockets."""

from __future__ import annotations

import threading
from typing import Annotated

from fastapi import (
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
)
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float = 1.0


async def agent(user_agent: Annotated[str, Header()]) -> str:
    return user_agent


@app.get("/")
async def hello(agent: Annotated[str, Depends(agent)]) -> dict:
    return {"agent": agent}


@app.get("/thread")
def thread() -> dict:
    return {"main": threading.current_thread() is threading.main_thread()}


@app.put("/items/{number}", status_code=201)
async def put_item(number: int, item: Item) -> dict:
    return {"number": number, **item.model_dump()}


@app.get("/items/{number}")
async def get_item(number: int) -> dict:
    raise HTTPException(404, f"no item {number}")


@app.post("/upload")
async def upload(title: Annotated[str, Form()], file: Annotated[UploadFile, File()]) -> dict:
    return {"title": title, "name": file.filename, "size": len(await file.read())}


ROOMS: dict[str, list[WebSocket]] = {}


async def token(socket: WebSocket, token: str = "") -> str:
    if token != "secret":
        raise WebSocketException(1008)
    return token


@app.websocket("/rooms/{room}")
async def chat(socket: WebSocket, room: str, token: Annotated[str, Depends(token)]) -> None:
    await socket.accept()
    members = ROOMS.setdefault(room, [])
    members.append(socket)
    try:
        while True:
            said = await socket.receive_json()
            for member in members:
                await member.send_json({"room": room, "members": len(members), "said": said})
    except WebSocketDisconnect:
        members.remove(socket)
