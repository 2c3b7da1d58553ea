"""Send every WebSocket message back as it came: the application that the Autobahn suite talks to."""


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise RuntimeError(f"only WebSockets are served here, not {scope['type']}")
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        text = event.get("text")
        answer = {"bytes": event["bytes"]} if text is None else {"text": text}
        await send({"type": "websocket.send", **answer})
