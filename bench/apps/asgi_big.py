"""Answer every request with 10 KB: a page, or a list in JSON."""

BODY = bytes(range(32, 112)) * 128
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", str(len(BODY)).encode())],
}


async def app(scope, receive, send):
    await send(START)
    await send({"type": "http.response.body", "body": BODY})
