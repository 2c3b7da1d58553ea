"""Conf files of the shapes that people publish for Gunicorn run unchanged (`examples/conf/`)."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGHUP, SIGTERM

import pytest
from harness import Serve, Server, eventually
from harness.server import free_port

EXAMPLES = Path(__file__).parent.parent / "examples" / "conf"

Start = Callable[..., Server]


@pytest.fixture
def start(serve: Serve) -> Start:
    """A server for a copy of an example; what is not said comes from its conf file."""

    def start(name: str, *options: str, app: str | None = "app", **more) -> Server:
        folder = serve.folder / name
        shutil.copytree(EXAMPLES / name, folder)
        return serve(app, *options, cwd=folder, **more)

    return start


def test_prometheus_counts_over_all_workers_and_forgets_dead_ones(start: Start, tmp_path: Path) -> None:
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    (metrics / "counter_1.db").write_bytes(b"of an earlier run")
    server = start("prometheus", env={"PROMETHEUS_MULTIPROC_DIR": str(metrics)})
    workers = server.wait_workers(2)

    def scraped(metric: str) -> float:
        found = re.search(rf"^{metric} (\S+)$", server.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def both_have_served() -> bool:
        # At the same time: one after the other, all may find the same worker waiting.
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: server.get(), range(16)))
        return scraped("shop_workers") == 2

    eventually(both_have_served, what="requests at both workers")
    requests = scraped("shop_requests_total")
    assert requests >= 2
    os.kill(workers[0], SIGTERM)
    eventually(lambda: scraped("shop_workers") == 1, what="the end of a worker's gauge")
    assert scraped("shop_requests_total") == requests


def test_a_logger_class_that_writes_json(start: Start) -> None:
    server = start("json-log", probe="/probe")
    server.get('/a"b?c=1', fields=[("User-Agent", 'curl "8"')])
    [line] = eventually(lambda: [line for line in server.out.splitlines() if "c=1" in line], what="the access line")
    said = json.loads(line)
    assert said["path"] == '/a"b?c=1'
    assert said["agent"] == 'curl "8"'
    assert (said["client"], said["method"], said["status"], said["bytes"]) == ("127.0.0.1", "GET", 200, 5)
    assert said["seconds"] > 0


def test_a_logger_class_that_hides_health_checks(start: Start) -> None:
    server = start("quiet-health-checks", probe="/health")
    server.get("/health")
    server.get("/shown")
    server.wait_log(r'^127\.0\.0\.1 "GET /shown HTTP/1\.1" 200 5$')
    assert "/health" not in server.log


def test_logging_by_a_dictionary(start: Start) -> None:
    server = start("logging-dict")
    server.get("/item")
    server.wait_log(r"^INFO\|gunicorn\.access\|GET /item 200$")
    assert "INFO|shop|somebody came" in server.out
    assert re.search(r"^INFO\|gunicorn\.error\|Listening at: http://", server.out, re.MULTILINE)


def test_django(start: Start) -> None:
    server = start("django", app=None, env={"PYTHONWARNINGS": "ignore"})
    assert server.get().text == "Hello from Django over http"
    assert server.get(fields=[("X-Forwarded-Proto", "https")]).text == "Hello from Django over https"
    server.wait_workers((os.cpu_count() or 1) * 2 + 1)


def test_new_relic_in_each_worker(start: Start) -> None:
    server = start("newrelic")
    assert server.get().text == "True True"
    server.wait_log(r"New Relic watches worker \d+", times=2)


def test_sentry_in_each_worker(start: Start) -> None:
    server = start("sentry", env={"RELEASE": "shop@2.0"})
    assert server.get().text == "shop@2.0"
    assert server.stop() == 0


def test_opentelemetry_in_each_worker(start: Start) -> None:
    server = start("opentelemetry")
    assert server.get().text == "True"
    assert server.stop() == 0
    assert '"name": "answer"' in server.out
    assert '"service.name": "shop"' in server.out


def test_settings_and_secrets_from_the_environment(start: Start, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    more = {"SHOP_SECRET_FILE": str(secret), "WEB_CONCURRENCY": "3", "SHOP_GUNICORN_THREADS": "2"}
    server = start("environment", env=more)
    assert server.get().text == "4 True"
    server.wait_workers(3)
    assert "hush" not in server.log


def test_a_program_that_is_its_own_server(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXICORN_TEST_SERVER", f"{sys.executable} -m oxicorn.compat serve.py")
    port = free_port()
    server = start("embedding", app=None, bind=None, ready=False, env={"SHOP_PORT": str(port)})
    server.address = ("127.0.0.1", port)
    assert server.wait_ready().get().text == "Works fine"
    assert server.stop() == 0


def test_pyramid_by_its_file(start: Start) -> None:
    server = start("pyramid", "--paste", "production.ini", app=None)
    assert server.get().text == "Hello from Pyramid"
    server.wait_log(r"^INFO +\[shop\] home for GET$")
    server.wait_workers(2)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="FastAPI is not installed there")
def test_fastapi_with_uvicorns_worker(start: Start) -> None:
    server = start("fastapi", app=None, env={"MAX_WORKERS": "1"})
    assert json.loads(server.get().body) == {"hello": "FastAPI"}
    assert re.search("Using worker: (asgi|uvicorn)", server.log)


def test_the_stacks_of_a_worker_whose_time_is_up(start: Start) -> None:
    server = start("stacks")
    old = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/slow")
        server.wait_replaced(old, 1)
    assert "worker received SIGABRT signal" in server.log
    assert re.search(r'^File: ".*app\.py", line \d+, in wait_for_the_database$', server.log, re.MULTILINE)


def test_connections_that_no_two_workers_share(start: Start) -> None:
    server = start("pool")
    server.wait_log(r"worker \d+ opens connections of its own", times=2)
    assert [server.get().text for _ in range(4)] == ["42 True"] * 4
    assert server.stop() == 0


def test_memory_that_workers_share(start: Start) -> None:
    server = start("preload")
    assert server.get().text == "True True"
    server.wait_log(r"\d{4,} objects are shared")


def test_a_worker_that_has_grown_leaves(start: Start) -> None:
    server = start("memory", env={"WORKER_MEMORY_MIB": "300"})
    [old] = server.wait_workers(1)
    assert int(server.get("/grow?400").text) == old
    server.wait_replaced([old], 1)
    server.wait_log(rf"worker {old} has used \d+ MiB after 2 requests and leaves")
    assert int(server.get().text) != old


def test_metrics_for_statsd(start: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(10)
        start("statsd", env={"STATSD": f"127.0.0.1:{agent.getsockname()[1]}"})
        wanted = "shop.gunicorn.request.status.200:1|c|@1.0|#env:example"
        eventually(lambda: wanted in agent.recv(65536).decode().splitlines(), what=wanted)


def test_files_that_live_as_long_as_the_server(start: Start, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    server = start("clean-up", env={"SHOP_SPOOL": str(spool)})
    assert int(server.get().text) >= 1
    old = server.wait_workers(2)
    server.signal(SIGHUP)
    server.wait_replaced(old, 2)
    assert "the spool stays" in server.log
    assert "workers: 2, before: None" in server.log
    server.get()
    assert server.stop() == 0
    assert not spool.exists()
    assert "the spool is gone" in server.log


def test_a_server_by_another_name(start: Start) -> None:
    answer = start("server-name").get()
    assert answer.all("Server") == ["undisclosed"]
    assert answer.text == "undisclosed/1"


def test_a_worker_class_of_ones_own(start: Start) -> None:
    server = start("worker-class")
    assert server.get().text == "True"
    assert server.stop() == 0
    # One that was still booting had none.
    assert "are no longer kept" in server.log


PATCHES = {
    "the wrapper": (
        "from functools import wraps\nimport gunicorn.http.wsgi\n"
        "def wrap(func):\n    @wraps(func)\n    def default_headers(*args, **kwargs):\n"
        "        return [line for line in func(*args, **kwargs) if not line.startswith('Server: ')]\n"
        "    return default_headers\n"
        "gunicorn.http.wsgi.Response.default_headers = wrap(gunicorn.http.wsgi.Response.default_headers)\n",
        [],
    ),
    "the class": (
        "import gunicorn.http.wsgi as wsgi\nclass Response(wsgi.Response):\n    def default_headers(self):\n"
        "        return ['Server: shop\\r\\n']\nwsgi.Response = Response\n",
        ["shop"],
    ),
    "its own name": ("import gunicorn.http.wsgi\ngunicorn.http.wsgi.SERVER = 'shop'\n", ["shop"]),
    "no name": ("import gunicorn\ngunicorn.SERVER = ''\n", []),
}


@pytest.mark.parametrize("how", PATCHES)
def test_patches_of_the_server_field(serve: Serve, how: str) -> None:
    patch, servers = PATCHES[how]
    shutil.copy(EXAMPLES / "server-name" / "app.py", serve.folder)
    (serve.folder / "gunicorn.conf.py").write_text(patch)
    server = serve("app", cwd=serve.folder)
    assert server.get().all("Server") == servers
    assert "WARNING" not in server.log


def test_a_patch_that_comes_too_late_is_told_of(serve: Serve) -> None:
    (serve.folder / "late.py").write_text(PATCHES["the wrapper"][0] + (EXAMPLES / "server-name" / "app.py").read_text())
    server = serve("late", cwd=serve.folder)
    assert server.get().all("Server") == ["oxicorn"]
    server.wait_log(r"\[WARNING\] Gunicorn's Server field was changed after the settings were read")


def test_every_example_has_its_test() -> None:
    source = Path(__file__).read_text()
    for folder in EXAMPLES.iterdir():
        if folder.is_dir():
            assert f'start("{folder.name}"' in source, folder.name
