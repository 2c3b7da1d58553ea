"""Programs that start their server through Oxicorn's own interface: `python own_server.py WAY PORT`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

import oxicorn

told: list[str] = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            print(message["type"], flush=True)
            await send({"type": f"{message['type']}.complete"})
            if message["type"].endswith("shutdown"):
                return
    if scope["path"] == "/exit":
        sys.exit(7)
    body = f"{os.getpid()} {threading.current_thread().name}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/exit":
        sys.exit(7)
    body = f"{os.getpid()} {threading.current_thread().name}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def make():
    return app


def main(way: str, port: int) -> None:
    if way == "object":
        oxicorn.run(app, port=port)
    elif way == "wsgi":
        oxicorn.run(wsgi, port=port, threads=2)
    elif way == "string":
        oxicorn.run("own_server:app", port=port, workers=2)
    elif way == "factory":
        oxicorn.run("own_server:make", port=port, app_factory=True)
    elif way == "thread":
        thread = threading.Thread(target=oxicorn.run, args=(app,), kwargs={"port": port})
        thread.start()
        thread.join()
    elif way == "daemon":
        threading.Thread(target=oxicorn.run, args=(app,), kwargs={"port": port}, daemon=True).start()
        sys.stdin.read()
    elif way == "loop":
        # Where a shell has started the tests in the background, SIGINT is ignored, and asyncio leaves it so.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        asyncio.run(oxicorn.serve(app, port=port))
    print("after", os.getpid(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
