"""Send every message to everybody who is connected: a chat room."""

ROOM = set()


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise RuntimeError(f"only WebSockets are served here, not {scope['type']}")
    await receive()
    await send({"type": "websocket.accept"})
    ROOM.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            for member in list(ROOM):
                await member({"type": "websocket.send", "text": event["text"]})
    finally:
        ROOM.discard(send)
