"""Stream twenty server-sent events, each in a turn of the loop of its own, as events that happen one by one are."""

import asyncio

EVENTS = [b"data: this is event number %d\n\n" % number for number in range(10, 30)]
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


async def app(scope, receive, send):
    await send(START)
    for event in EVENTS:
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
