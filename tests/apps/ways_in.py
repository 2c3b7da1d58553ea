"""Programs that start a server of another name themselves: `python ways_in.py WAY PORT`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            print(message["type"], flush=True)
            await send({"type": f"{message['type']}.complete"})
            if message["type"].endswith("shutdown"):
                return
    fields = dict(scope["headers"])
    body = f"{os.getpid()} {scope['root_path']} {fields.get(b'under_score', b'').decode()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    body = f"{os.getpid()} {environ['SCRIPT_NAME']} {environ['wsgi.url_scheme']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def make():
    return app


def uvicorn_run(port):
    import uvicorn

    assert uvicorn.__version__
    uvicorn.run(app, host="127.0.0.1", port=port, root_path="/mount", headers=[("x-own", "yes")], http="h11")


def uvicorn_workers(port):
    import uvicorn

    uvicorn.run("ways_in:app", host="127.0.0.1", port=port, workers=2)


def uvicorn_factory(port):
    import uvicorn.main

    uvicorn.main.run("ways_in:make", port=port, factory=True, log_level="warning")


def uvicorn_serve(port):
    from uvicorn import Config, Server

    async def main():
        server = Server(Config(app, port=port, lifespan="on"))
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print("port", server.servers[0].sockets[0].getsockname()[1], flush=True)
        await serving

    asyncio.run(main())


def uvicorn_thread(port):
    """Gradio's and many tests' way."""
    import uvicorn

    class Server(uvicorn.Server):
        def install_signal_handlers(self):
            pass

        @contextlib.contextmanager
        def run_in_thread(self):
            thread = threading.Thread(target=self.run, daemon=True)
            thread.start()
            while not self.started:
                time.sleep(0.001)
            yield
            self.should_exit = True
            thread.join(10)
            assert not thread.is_alive()

    with Server(uvicorn.Config(app, port=port)).run_in_thread():
        sys.stdin.readline()


def uvicorn_failing(port):
    import uvicorn

    async def failing(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "not today"})

    uvicorn.run(failing, port=port)


def uvicorn_refused(port):
    import uvicorn

    uvicorn.run(app, port=port, ssl_context_factory=print)


def uvicorn_child(port):
    """MLflow's way."""
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "ways_in:app"]
    with subprocess.Popen(command) as child:
        try:
            child.wait()
        except KeyboardInterrupt:
            child.wait()


def gunicorn_child(port):
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "ways_in:wsgi"]
    os.execv(command[0], command)


def gunicorn_base(port):
    from gunicorn.app.base import BaseApplication

    class Program(BaseApplication):
        def load_config(self):
            self.cfg.set("bind", f"127.0.0.1:{port}")

        def load(self):
            return wsgi

    Program().run()


def hypercorn_serve(port):
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = f"127.0.0.1:{port}"
    config.root_path = "/mount"
    config.keep_alive_timeout = 7
    asyncio.run(serve(app, config))


def hypercorn_trigger(port):
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    async def main():
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(0, ended.set)
        await serve(app, Config.from_mapping(bind=[f"127.0.0.1:{port}"]), shutdown_trigger=ended.wait)

    asyncio.run(main())


def granian_asgi(port):
    from granian import Granian
    from granian.constants import Interfaces

    Granian("ways_in:app", address="127.0.0.1", port=port, interface=Interfaces.ASGI, workers=2).serve()


def granian_wsgi(port):
    import granian

    granian.Granian("ways_in:wsgi", port=port, interface="wsgi", blocking_threads=2, log_access=True).serve()


def granian_rsgi(port):
    import granian

    granian.Granian("ways_in:app", port=port).serve()


def waitress_serve(port):
    from waitress import serve

    serve(wsgi, host="127.0.0.1", port=port, threads=2, url_scheme="https", url_prefix="/mount")


def waitress_refused(port):
    import waitress

    waitress.serve(wsgi, port=port, adj="nonsense")


if __name__ == "__main__":
    globals()[sys.argv[1]](int(sys.argv[2]))
    print("after", os.getpid(), flush=True)
