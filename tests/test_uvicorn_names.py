"""What deployments with uvicorn have in their files and command lines: its worker classes, its options."""

from __future__ import annotations

from pathlib import Path
from signal import SIGHUP

import pytest
from harness import Serve
from harness.server import free_port

WORKER = """
    from uvicorn.workers import UvicornWorker

    class Base(UvicornWorker):
        CONFIG_KWARGS = {"loop": "asyncio", "http": "h11", "root_path": "/shop", "limit_concurrency": None}

    class MyWorker(Base):
        CONFIG_KWARGS = {**Base.CONFIG_KWARGS, "timeout_keep_alive": 7, "log_config": None, "ssl_keyfile": None}

        def init_process(self):
            raise AssertionError("never called")
"""


@pytest.mark.parametrize("module", ["uvicorn.workers", "uvicorn_worker"])
def test_a_subclass_runs_the_asgi_worker_with_what_it_says(serve: Serve, write, module: str) -> None:
    write("shop/__init__.py", "")
    write("shop/workers.py", WORKER.replace("uvicorn.workers", module))
    write(
        "shop/main.py",
        """
        import importlib.util
        async def app(scope, receive, send):
            there = importlib.util.find_spec("uvicorn") is not None
            answer = f"{scope['root_path']} {there}"
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": answer.encode()})
        """,
    )
    server = serve("shop.main:app", "-k", "shop.workers.MyWorker", "--root-path", "/other", cwd=serve.folder)
    assert server.get("/").text == "/shop False"
    server.wait_log(r"\[WARNING\] http='h11' has no effect here \(from shop.workers.MyWorker.CONFIG_KWARGS\)")
    server.wait_log(r"\[WARNING\] init_process of shop.workers.MyWorker will not be called")
    shown = serve.refused("shop.main:app", "-k", "shop.workers.MyWorker", "--print-config", cwd=serve.folder)
    assert shown.code == 0
    assert "keepalive = 7" in " ".join(shown.out.split())


def test_a_subclass_says_nonsense(serve: Serve, write) -> None:
    write("worker.py", WORKER.replace('"/shop"', '"/shop", "timeout_keep_alive": "long"').replace(": 7", ": 'long'"))
    refusal = serve.refused("asgi_lab", "-k", "worker.MyWorker", "--pythonpath", str(serve.folder))
    assert refusal.code == 1
    assert "keepalive: 'long' is not valid" in refusal.text and "worker.MyWorker.CONFIG_KWARGS" in refusal.text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("worker.Nobody", "worker.Nobody cannot be imported"),
        ("no.such.Worker", "no.such.Worker cannot be imported"),
        ("json.JSONDecoder", "json.JSONDecoder is a class that Oxicorn cannot run"),
        ("nobody", "worker_class: 'nobody' is not valid"),
    ],
)
def test_another_class_is_refused(serve: Serve, write, name: str, reason: str) -> None:
    write("worker.py", WORKER)
    refusal = serve.refused("asgi_lab", "-k", name, "--pythonpath", str(serve.folder))
    assert refusal.code in (1, 2)
    assert reason in refusal.text or reason.replace("worker_class", "--worker-class") in refusal.text


def test_a_subclass_in_a_conf_file_survives_a_reload(serve: Serve, write) -> None:
    write("worker.py", WORKER)
    conf = write("conf.py", 'worker_class = "worker.MyWorker"\n')
    server = serve("asgi_lab", "-c", str(conf), "--pythonpath", str(serve.folder))
    assert server.get("/dump").json()["root_path"] == "/shop"
    before = server.wait_workers(1)
    server.signal(SIGHUP)
    server.wait_replaced(before, 1)
    assert server.get("/dump").json()["root_path"] == "/shop"


# Options


def test_host_and_port(serve: Serve) -> None:
    port = free_port()
    server = serve("asgi_lab", "--host", "127.0.0.1", "--port", str(port), "--lifespan", "off", bind=None, ready=False)
    server.wait_log(rf"Listening at: http://127\.0\.0\.1:{port} ")


def test_uds(serve: Serve, tmp_path: Path) -> None:
    server = serve("asgi_lab", "--uds", f"{tmp_path}/s", "--loop", "asyncio", bind=None, ready=False)
    server.wait_log(rf"Listening at: unix:{tmp_path}/s ")


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_a_factory_without_parentheses(serve: Serve, write, kind: str) -> None:
    write(
        "made.py",
        """
        def asgi():
            async def application(scope, receive, send):
                await send({"type": "http.response.start", "status": 200})
                await send({"type": "http.response.body", "body": b"made"})
            return application
        def wsgi():
            def application(environ, start_response):
                start_response("200 OK", [])
                return [b"made"]
            return application
        """,
    )
    server = serve(f"made:{kind}", "--factory", cwd=serve.folder)
    assert server.get("/").text == "made"


def test_an_env_file(serve: Serve, write) -> None:
    write(".env", 'A=from the file\nB="${A}"  # twice\nexport KEPT=file\nRAW=file\n')
    write(
        "env.py",
        """
        import json, os
        names = {name: os.environ.get(name) for name in ("A", "B", "KEPT", "RAW")}
        async def application(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": json.dumps(names).encode()})
        """,
    )
    server = serve("env", "--env-file", ".env", "-e", "RAW=raw", cwd=serve.folder, env={"KEPT": "environment"})
    answer = {"A": "from the file", "B": "from the file", "KEPT": "environment", "RAW": "raw"}
    assert server.get("/").json() == answer
    before = server.wait_workers(1)
    write(".env", "A=changed\n")
    server.signal(SIGHUP)
    server.wait_replaced(before, 1)
    assert server.get("/").json() == {"A": "changed", "B": None, "KEPT": "environment", "RAW": "raw"}


def test_an_env_file_that_cannot_be_read(serve: Serve, write) -> None:
    refusal = serve.refused("asgi_lab", "--env-file", "/no/such/file")
    assert refusal.code == 1 and "env_file: /no/such/file cannot be read" in refusal.text
    path = write("broken.env", "A=1\nno assignment\n")
    refusal = serve.refused("asgi_lab", "--env-file", str(path))
    assert refusal.code == 1 and f"line 2 of {path} is not NAME=VALUE" in refusal.text
