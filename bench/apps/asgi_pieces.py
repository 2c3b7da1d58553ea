"""Answer `/many` in 2,000,000 pieces of 20 bytes, and everything else with thirteen bytes."""

from asgi_hello import app as hello

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
PIECE = {"type": "http.response.body", "body": b"x" * 20, "more_body": True}


async def app(scope, receive, send):
    if scope["type"] != "http" or scope["path"] != "/many":
        return await hello(scope, receive, send)
    await send(START)
    for _ in range(2_000_000):
        await send(PIECE)
    await send({"type": "http.response.body"})
