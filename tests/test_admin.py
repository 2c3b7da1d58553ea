"""The admin listener: metrics that are exact, status and health, also while every worker is busy."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGSTOP, SIGTERM, SIGUSR2

import pytest
from harness import Load, Serve, Server, Wire, eventually, free_port, run
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class Admin:
    """What a monitoring system sees of a server."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        self.address = address

    def get(self, path: str, *fields: str, method: str = "GET") -> tuple[int, str, str]:
        """The status, the content type and the body."""
        with Wire(self.address) as wire:
            lines = "".join(f"{field}\r\n" for field in ("Host: admin", *fields))
            wire.send(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
            reply = wire.reply(to=method)
            return reply.status, reply.header("Content-Type") or "", reply.body.decode()

    def status(self) -> dict[str, object]:
        return dict(json.loads(self.get("/status")[2]))

    def serving(self) -> list[int]:
        workers = json.loads(self.get("/status")[2])["workers"]
        return [worker["pid"] for worker in workers if worker["state"] == "serving"]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of this name that have these labels."""
        samples = [
            sample
            for family in read_prometheus(self.get("/metrics")[2])
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(sample.value for sample in samples)

    def requests(self, **labels: str) -> float:
        return self.total("http_server_request_duration_seconds_count", **labels)


def start(serve: Serve, app: str, *options: str, kind: str | None = None) -> tuple[Server, Admin]:
    port = free_port()
    server = serve(app, "--admin-bind", f"127.0.0.1:{port}", *options, kind=kind)
    return server, Admin(("127.0.0.1", port))


@pytest.mark.parametrize(("app", "worker_class"), [("lab", "sync"), ("lab", "gthread"), ("asgi_lab", "asgi")])
def test_every_request_is_counted_once(serve: Serve, app: str, worker_class: str) -> None:
    server, admin = start(serve, app, "-w", "2", "-k", worker_class)
    before = eventually(admin.requests)  # The first request is the fixture's own.
    for _ in range(20):
        assert server.get("/").status == 200
    with server.connect() as wire:
        wire.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        wire.reply(to="HEAD")
    with server.connect() as wire:
        wire.send(b"BREW / HTTP/1.0\r\n\r\n")
        wire.reply()
    eventually(lambda: admin.requests() - before == 22, within=5, what=lambda: admin.get("/metrics")[2])
    assert admin.requests(http_request_method="HEAD") == 1
    assert admin.requests(http_request_method="_OTHER", network_protocol_version="1.0") == 1
    assert admin.total("oxicorn_request_queue_seconds_count") == admin.requests()


def test_totals_are_exact_over_a_reload_a_kill_and_max_requests(serve: Serve) -> None:
    server, admin = start(serve, "lab", "-w", "2", "--max-requests", "150")
    before = eventually(admin.requests)  # The first request is the fixture's own.
    load = Load(server, clients=4)
    with load:
        eventually(lambda: load.total > 200, within=20)
        server.signal(SIGHUP)
        eventually(lambda: admin.total("oxicorn_worker_exits_total", reason="max_requests") >= 1, within=20)
    eventually(lambda: admin.requests() - before == load.total, within=10, what=lambda: str(admin.status()))
    server.wait_workers(2)
    os.kill(eventually(admin.serving)[0], SIGKILL)
    eventually(lambda: admin.total("oxicorn_worker_exits_total", reason="signal") == 1, within=10)
    assert admin.requests() - before == load.total
    assert admin.total("oxicorn_reloads_total", result="done") == 1


def test_refusals_count_with_their_status(serve: Serve) -> None:
    server, admin = start(serve, "lab")
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        assert wire.reply().status == 400
    eventually(lambda: admin.requests(http_response_status_class="4xx") == 1, within=5)


def test_it_answers_while_every_worker_is_busy_or_stopped(serve: Serve) -> None:
    server, admin = start(serve, "lab", "-w", "1")
    with server.connect() as wire:
        wire.request("/gate/held")
        serve.gates.wait_entered("held")
        assert admin.total("http_server_active_requests") == 1
        assert admin.total("oxicorn_workers_busy") == 1
        (worker,) = server.workers()
        os.kill(worker, SIGSTOP)
        status = admin.status()
        assert [one["pid"] for one in status["workers"]] == [worker]  # type: ignore[union-attr, index]
        assert admin.get("/livez")[0] == 200
        os.kill(worker, 18)
        serve.gates.open("held")
        assert wire.reply().status == 200


def test_both_formats_are_what_their_parsers_expect(serve: Serve) -> None:
    server, admin = start(serve, "lab")
    server.get("/")
    status, content_type, text = admin.get("/metrics")
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    plain = {family.name: family for family in read_prometheus(text)}
    status, content_type, text = admin.get("/metrics", f"Accept: {OPENMETRICS}")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    strict = {family.name: family for family in read_openmetrics(text)}
    assert plain.keys() == strict.keys()
    assert strict["oxicorn_response_body_bytes"].unit == "bytes"
    if promtool := shutil.which("promtool"):
        checked = subprocess.run([promtool, "check", "metrics"], input=admin.get("/metrics")[2], text=True)
        assert checked.returncode == 0


def test_what_else_is_there(serve: Serve) -> None:
    server, admin = start(serve, "lab")
    assert "/metrics" in admin.get("/")[2]
    assert admin.get("/nowhere")[0] == 404
    assert admin.get("/metrics", "Content-Length: 0", method="POST")[0] == 405
    assert admin.get("/metrics", method="HEAD")[2] == ""
    with Wire(admin.address) as wire:
        wire.send(b"nonsense\r\n\r\n")
        assert wire.reply().status == 400
    assert "Listening at: http://127.0.0.1" in server.log


def test_readiness_ends_with_the_stop(serve: Serve) -> None:
    server, admin = start(serve, "lab")
    assert admin.get("/readyz")[0] == 200
    with server.connect() as wire:
        wire.request("/gate/last")
        serve.gates.wait_entered("last")
        server.signal(SIGTERM)
        eventually(lambda: admin.get("/readyz")[0] == 503, within=5)
        assert admin.status()["stopping"] is True
        serve.gates.open("last")
        assert wire.reply().status == 200


def test_clients_that_send_nothing_keep_no_other_out(serve: Serve) -> None:
    server, admin = start(serve, "lab")
    silent = [socket.create_connection(admin.address) for _ in range(100)]  # type: ignore[arg-type]
    try:
        assert admin.get("/livez")[0] == 200
        assert server.get("/").status == 200
    finally:
        for one in silent:
            one.close()


def test_a_flood_leaves_the_arbiter_its_work(serve: Serve) -> None:
    server, admin = start(serve, "lab")
    before = server.workers()
    flood = [socket.create_connection(admin.address) for _ in range(30)]  # type: ignore[arg-type]
    try:
        for one in flood:
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        os.kill(before[0], SIGKILL)
        eventually(lambda: server.workers() and server.workers() != before, within=10)
        # None of them is forgotten.
        assert all(one.recv(12) == b"HTTP/1.1 200" for one in flood)
    finally:
        for one in flood:
            one.close()


def test_a_unix_socket_is_the_owners_and_the_groups(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    server = serve("lab", "--admin-bind", f"unix:{path}")
    assert path.stat().st_mode & 0o777 == 0o660
    assert Admin(str(path)).get("/readyz")[0] == 200
    server.stop()
    assert not path.exists()


def test_an_upgrade_takes_the_address_over(serve: Serve, tmp_path: Path) -> None:
    server, admin = start(serve, "lab", "--pid", str(tmp_path / "pid"))
    old = admin.status()["pid"]
    server.signal(SIGUSR2)
    second = tmp_path / "pid.2"
    new = int(eventually(lambda: second.exists() and second.read_text(), within=20))
    try:
        server.signal(SIGTERM)

        def answered() -> object:
            try:
                return admin.status()["pid"] == new
            except OSError:
                return False

        eventually(answered, within=20)
        assert old != new
    finally:
        os.kill(new, SIGTERM)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_an_address_that_is_taken_is_refused_by_the_settings_name(taken: int, tmp_path: Path) -> None:
    refused = run("--admin-bind", f"127.0.0.1:{taken}", "x:y", cwd=tmp_path)
    assert refused.code == 1
    assert f"admin_bind: 127.0.0.1:{taken} is already in use" in refused.text


def test_nothing_is_open_by_default(serve: Serve) -> None:
    server = serve("lab")
    assert server.log.count("Listening at") == 1


@pytest.mark.skipif(not shutil.which("prometheus"), reason="Prometheus is not installed")
def test_a_real_prometheus_scrapes_what_clients_were_answered(serve: Serve, tmp_path: Path) -> None:
    server, admin = start(serve, "lab", "-w", "2")
    for _ in range(30):
        server.get("/pid")
    port, (host, target) = free_port(), admin.address
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['{host}:{target}']}}]}}]\n"
    )
    command = [
        "prometheus",
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (tmp_path / "prometheus.log").open("w") as log:
        prometheus = subprocess.Popen(command, stdout=log, stderr=log)

    def asked(query: str) -> list[dict[str, object]]:
        try:
            with Wire(("127.0.0.1", port)) as wire:
                reply = wire.get(f"/api/v1/query?query={query}")
        except OSError:
            return []
        return list(reply.json()["data"]["result"]) if reply.status == 200 else []

    try:
        total = "sum(http_server_request_duration_seconds_count)"
        found = eventually(lambda: asked(total), within=60)
        assert float(found[0]["value"][1]) == admin.requests() >= 30  # type: ignore[index]
        assert asked("up")[0]["value"][1] == "1"  # type: ignore[index]
    finally:
        prometheus.terminate()
        prometheus.wait(30)
