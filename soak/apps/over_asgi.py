"""The application of the soak as ASGI; its WebSockets echo."""

BODY = b"Hello, world!"
PIECE = b"x" * 16384


async def whole(receive):
    body, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        body += event["body"]
        more = event["more_body"]
    return body


async def respond(send, pieces, length=None):
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def echo_messages(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await echo_messages(receive, send)
        return
    path = scope["path"]
    if path == "/echo":
        body = await whole(receive)
        if body is not None:
            await respond(send, [body], len(body))
    elif path == "/stream":
        await respond(send, [BODY] * 10)
    elif path == "/endless":
        await respond(send, [PIECE] * 64)
    elif path == "/error":
        raise RuntimeError("as the client wished")
    elif path == "/wait":
        # Whoever asks for this goes away.
        while (await receive())["type"] != "http.disconnect":
            pass
    else:
        await respond(send, [BODY], len(BODY))
