"""Wait for 10 ms and answer with thirteen bytes: a request that asks a database."""

import asyncio

BODY = b"Hello, world!"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", str(len(BODY)).encode())],
}


async def app(scope, receive, send):
    await asyncio.sleep(0.01)
    await send(START)
    await send({"type": "http.response.body", "body": BODY})
