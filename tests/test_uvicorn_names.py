"""What deployments with uvicorn have in their files and command lines: its worker classes, its options."""

from __future__ import annotations

from pathlib import Path
from signal import SIGHUP

import pytest
from harness import Serve, eventually
from harness.server import free_port
from harness.wire import chunk

WORKER = """
    from uvicorn.workers import UvicornWorker

    class Base(UvicornWorker):
        CONFIG_KWARGS = {"loop": "asyncio", "http": "h11", "root_path": "/dump", "limit_concurrency": None}

    class MyWorker(Base):
        CONFIG_KWARGS = {**Base.CONFIG_KWARGS, "timeout_keep_alive": 7, "log_config": None, "ssl_keyfile": None}

        def init_process(self):
            raise AssertionError("never called")

    class Odd(Base):
        CONFIG_KWARGS = ["loop"]
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
    assert server.get("/").text == "/dump False"
    server.wait_log(r"\[INFO\] http='h11' has no effect here \(from shop.workers.MyWorker.CONFIG_KWARGS\)")
    server.wait_log(r"\[WARNING\] init_process of shop.workers.MyWorker will not be called")
    shown = serve.refused("shop.main:app", "-k", "shop.workers.MyWorker", "--print-config", cwd=serve.folder)
    assert shown.code == 0
    assert "keepalive = 7" in " ".join(shown.out.split())


def test_a_subclass_says_nonsense(serve: Serve, write) -> None:
    write("worker.py", WORKER.replace('"/dump"', '"/dump", "timeout_keep_alive": "long"').replace(": 7", ": 'long'"))
    refusal = serve.refused("asgi_lab", "-k", "worker.MyWorker", "--pythonpath", str(serve.folder))
    assert refusal.code == 1
    assert "keepalive: 'long' is not valid" in refusal.text and "worker.MyWorker.CONFIG_KWARGS" in refusal.text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("worker.Nobody", "worker.Nobody cannot be imported"),
        ("worker.Odd", "its CONFIG_KWARGS is no dictionary"),
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
    # The path begins with the root, so this is the view that shows it.
    assert server.get("/dump").json()["root_path"] == "/dump"
    before = server.wait_workers(1)
    server.signal(SIGHUP)
    server.wait_replaced(before, 1)
    assert server.get("/dump").json()["root_path"] == "/dump"


CLASS_IN_CONF = {
    "imported": """
        from uvicorn.workers import UvicornWorker
        worker_class = UvicornWorker
    """,
    "imported from the package of its own": """
        from uvicorn_worker import UvicornH11Worker
        worker_class = UvicornH11Worker
    """,
    "subclassed in the conf file": """
        import uvicorn.workers
        class MyWorker(uvicorn.workers.UvicornWorker):
            CONFIG_KWARGS = {"root_path": "/dump"}
        worker_class = MyWorker
    """,
    "made in a function": """
        from uvicorn.workers import UvicornWorker
        def make(root):
            class MyWorker(UvicornWorker):
                CONFIG_KWARGS = {**UvicornWorker.CONFIG_KWARGS, "root_path": root}
            return MyWorker
        worker_class = make("/dump")
    """,
    "made with type()": """
        from uvicorn_worker import UvicornWorker
        worker_class = type("Made", (UvicornWorker,), {"CONFIG_KWARGS": {"root_path": "/dump"}})
    """,
    "imported from a module": """
        from worker import MyWorker
        worker_class = MyWorker
    """,
    "inside another class": """
        from uvicorn.workers import UvicornWorker
        class Workers:
            class Mine(UvicornWorker):
                CONFIG_KWARGS = {"root_path": "/dump"}
        worker_class = Workers.Mine
    """,
    "by the name of uvicorn's own class": """
        class UvicornWorker:
            CONFIG_KWARGS = {"root_path": "/dump"}
        UvicornWorker.__module__ = "uvicorn.workers"
        class MyWorker(UvicornWorker):
            pass
        worker_class = MyWorker
    """,
}


@pytest.mark.parametrize("way", CLASS_IN_CONF)
def test_a_class_of_the_family_is_recognised_however_it_comes(serve: Serve, write, way: str) -> None:
    write("worker.py", WORKER)
    conf = write("conf.py", CLASS_IN_CONF[way])
    environment = {"PYTHONPATH": str(serve.folder)}
    shown = serve.refused("asgi_lab", "-c", str(conf), "--print-config", env=environment)
    assert shown.code == 0, shown.text
    server = serve("asgi_lab", "-c", str(conf), env=environment)
    server.wait_log("Using worker: asgi")
    seen_by_the_app = server.get("/dump").json()
    has_root = "root_path" in CLASS_IN_CONF[way] or "from a module" in way
    assert (seen_by_the_app["root_path"] == "/dump") == has_root


def test_nothing_of_the_stand_ins_is_left_for_the_application(serve: Serve, write) -> None:
    conf = write(
        "conf.py",
        """
        import importlib.util
        assert importlib.util.find_spec("uvicorn") is None and importlib.util.find_spec("uvicorn_worker") is None
        try:
            import uvicorn
        except ImportError:
            pass
        else:
            raise AssertionError("there is no uvicorn")
        from uvicorn.workers import UvicornWorker as worker_class

        def post_fork(server, worker):
            from uvicorn.workers import UvicornWorker
            assert worker_class is UvicornWorker
        """,
    )
    write(
        "asks.py",
        """
        import importlib.util, sys
        found = [name for name in ("uvicorn", "uvicorn_worker") if importlib.util.find_spec(name)]
        async def application(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": repr(found).encode()})
        """,
    )
    server = serve("asks", "-c", str(conf), cwd=serve.folder)
    assert server.get("/").text in ("[]", "['uvicorn']")  # The hook has imported it.
    assert "Traceback" not in server.log


# uvicorn's limits

LONG = "x" * 60_000
FAMILY = ["uvicorn.workers.UvicornWorker", "uvicorn.workers.UvicornH11Worker", "uvicorn_worker.UvicornWorker"]


@pytest.mark.parametrize("name", [*FAMILY, "worker.MyWorker"])
def test_uvicorn_s_limits_hold_under_its_names(serve: Serve, write, name: str) -> None:
    write("worker.py", WORKER.replace('"/dump"', '""'))
    server = serve("asgi_lab", "-k", name, "--pythonpath", str(serve.folder))
    with server.connect() as wire:
        assert len(wire.get(f"/dump?{'q' * 65_000}").json()["query_string"]) == 65_002
        fields = [("X_Under_Score", "passes"), ("X-Long", LONG), *((f"X-{number}", "v") for number in range(500))]
        headers = wire.get("/dump", fields=fields).json()["headers"]
        assert ["tuple", "b:x_under_score", "b:passes"] in headers
        assert ["tuple", "b:x-long", f"b:{LONG}"] in headers and ["tuple", "b:x-499", "b:v"] in headers
    assert "header_map" not in server.log


@pytest.mark.parametrize(
    ("options", "target", "fields", "status"),
    [
        (("--limit-request-line", "4094"), f"/?{'q' * 5000}", [], 414),
        (("--limit-request-fields", "10"), "/", [(f"X-{number}", "v") for number in range(20)], 431),
        (("--limit-request-field-size", "8190"), "/", [("X-Long", "x" * 9000)], 431),
        (("--header-map", "refuse"), "/", [("X_Y", "z")], 400),
    ],
)
def test_what_is_set_holds_under_uvicorn_s_names_too(
    serve: Serve, options: tuple[str, str], target: str, fields: list[tuple[str, str]], status: int
) -> None:
    server = serve("asgi_lab", "-k", FAMILY[0], *options)
    with server.connect() as wire:
        assert wire.get(target, fields=fields).status == status


def test_gunicorn_s_limits_hold_under_other_names(serve: Serve) -> None:
    server = serve("asgi_lab", "-k", "asgi")
    for target, fields, status in [
        (f"/?{'q' * 5000}", [], 414),
        ("/", [("X-Long", "x" * 9000)], 431),
        ("/", [(f"X-{number}", "v") for number in range(150)], 431),
    ]:
        with server.connect() as wire:
            assert wire.get(target, fields=fields).status == status


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
    path = write("nul.env", 'A="\0"\n')
    refusal = serve.refused("asgi_lab", "--env-file", str(path))
    assert refusal.code == 1 and "env_file: A cannot be set" in refusal.text


# Fields of responses


@pytest.mark.parametrize("app", ["lab", "asgi_lab"])
def test_the_fields_that_the_server_adds(serve: Serve, app: str) -> None:
    server = serve(app, "--no-server-header", "--no-date-header", "--header", "X-Frame-Options:DENY", "--header=a: b")
    for target in ("/", "/%"):
        with server.connect() as wire:
            reply = wire.request(target).reply()
            assert (reply.header("server"), reply.header("date")) == (None, None)
            assert (reply.header("x-frame-options"), reply.header("a")) == ("DENY", "b")
    with server.connect() as wire:
        refusal = wire.send(b"GET / HTTP/1.1\r\n\r\n").reply()
        assert (refusal.status, refusal.header("server"), refusal.header("a")) == (400, None, "b")


def test_a_field_of_the_application_s_own_stands_alone(serve: Serve, write) -> None:
    write(
        "own.py",
        """
        async def application(scope, receive, send):
            headers = [(b"x-mine", b"application"), (b"server", b"mine")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        """,
    )
    server = serve("own", "--header", "X-Mine:server", cwd=serve.folder)
    reply = server.get("/")
    assert (reply.all("x-mine"), reply.all("server")) == (["application"], ["mine"])


@pytest.mark.parametrize("field", ["nothing", ":x", "a b:c", "a:\x01"])
def test_a_field_that_is_none_is_refused(serve: Serve, field: str) -> None:
    conf = serve.folder / "conf.py"
    conf.write_text(f"response_headers = [{field!r}]\n")
    refusal = serve.refused("asgi_lab", "-c", str(conf))
    assert refusal.code == 1 and "response_headers: " in refusal.text and "NAME:VALUE" in refusal.text


# The client behind a proxy

FORWARDED = [("X-Forwarded-For", "203.0.113.9, 198.51.100.7"), ("X-Forwarded-For", "127.0.0.1")]


def seen(server, fields=FORWARDED) -> tuple:
    """The client as the laboratories of both interfaces see it."""
    shown = server.get("/dump", fields=fields).json()
    return tuple(shown["client"][1:])


def test_a_proxy_names_the_client_where_it_is_asked_to(serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = serve("asgi_lab", "--proxy-headers", "--access-logfile", str(log), "--access-logformat", "from %(h)s")
    assert seen(server) == ("198.51.100.7", 0)
    assert seen(server, [("X-Forwarded-For", "[2001:db8::1]:443")]) == ("2001:db8::1", 443)
    with server.connect() as wire:
        own = wire.socket.getsockname()
        for value in ("198.51.100.7:5", "unknown", ""):
            shown = wire.get("/dump", fields=[("X-Forwarded-For", value)]).json()["client"]
            assert shown == ["tuple", *(("198.51.100.7", 5) if value.endswith(":5") else own)]
    eventually(lambda: "from 198.51.100.7\n" in log.read_text())


def test_who_is_believed(serve: Serve, tmp_path: Path) -> None:
    nobody = serve("asgi_lab", "--proxy-headers", "--forwarded-allow-ips", "")
    assert seen(nobody)[0] == "127.0.0.1"
    everybody = serve("asgi_lab", "--proxy-headers", "--forwarded-allow-ips", "*")
    assert seen(everybody)[0] == "203.0.113.9"
    behind_a_socket = serve("asgi_lab", "--proxy-headers", bind=f"unix:{tmp_path}/s")
    assert seen(behind_a_socket)[0] == "198.51.100.7"


def test_gunicorn_s_way_is_the_default_and_uvicorn_s_with_its_classes(serve: Serve) -> None:
    assert seen(serve("asgi_lab", "-k", "asgi"))[0] == "127.0.0.1"
    assert seen(serve("asgi_lab", "-k", "uvicorn.workers.UvicornWorker"))[0] == "198.51.100.7"
    off = serve("asgi_lab", "-k", "uvicorn_worker.UvicornWorker", "--no-proxy-headers")
    assert seen(off)[0] == "127.0.0.1"


def test_wsgi_applications_see_the_client_too(serve: Serve) -> None:
    fields = [("X-Forwarded-For", "198.51.100.7:5")]
    shown = serve("lab", "--proxy-headers").get("/environ", fields=fields).json()
    assert (shown["REMOTE_ADDR"], shown["REMOTE_PORT"]) == ("198.51.100.7", "5")
    shown = serve("lab").get("/environ", fields=fields).json()
    assert shown["REMOTE_ADDR"] == "127.0.0.1"


# Limits


@pytest.mark.parametrize("kind", [("asgi_lab", "-k", "asgi"), ("lab", "--threads", "4")])
def test_what_is_too_much_is_turned_away(serve: Serve, kind: tuple[str, ...]) -> None:
    server = serve(*kind, "--limit-concurrency", "2", "--access-logfile", "-")
    with server.connect() as one, server.connect() as two:
        one.request("/gate/one")
        serve.gates.wait_entered("one")
        two.request("/gate/two")
        serve.gates.wait_entered("two")
        with server.connect() as three:
            refusal = three.request("/", method="POST", body=b"x" * 100_000).reply()
            assert (refusal.status, refusal.header("retry-after")) == (503, "1")
            three.assert_closed()
        serve.gates.open("one")
        assert one.reply().status == 200
        # The place that one has left is free, also for itself.
        eventually(lambda: server.get("/").status == 200)
        assert one.get("/").text == "Hello, world!"
        serve.gates.open("two")
        assert two.reply().status == 200
    server.wait_log(r'"POST / HTTP/1\.1" 503')


def test_a_streamed_body_that_is_too_long_is_refused(serve: Serve) -> None:
    server = serve("asgi_lab", "--limit-request-body", "100000")
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
    with server.connect() as wire:
        wire.send(head + b"Content-Length: 100001\r\n\r\n")
        assert wire.reply().status == 413
    with server.connect() as wire:
        wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"x" * 60_000))
        wire.send(chunk(b"x" * 60_000) + chunk(b""))
        assert wire.reply().status == 413
        wire.assert_closed()
    with server.connect() as wire:
        wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"x" * 100_000) + chunk(b""))
        assert len(wire.reply().body) == 100_000


def test_a_streamed_body_that_breaks_a_rule_or_falls_silent_is_refused(serve: Serve) -> None:
    server = serve("asgi_lab", "--body-timeout", "1")
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server.connect() as wire:
        wire.send(head + chunk(b"good") + b"no chunk\r\n")
        assert wire.reply().status == 400
    with server.connect() as wire:
        wire.send(head + chunk(b"good"))
        assert wire.reply().status == 408
