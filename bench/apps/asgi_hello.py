"""Answer every request with thirteen bytes: what is left is the cost of the server."""

BODY = b"Hello, world!"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", str(len(BODY)).encode())],
}


async def app(scope, receive, send):
    await send(START)
    await send({"type": "http.response.body", "body": BODY})
