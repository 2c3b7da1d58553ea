"""Metrics go to statsd, under Gunicorn's names and in its notation."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTTIN

import pytest
from harness import APPS, Serve, Server, eventually, parity

CONF = """
def post_worker_init(worker):
    worker.log.info("", extra={"metric": "shop.orders", "value": 3, "mtype": "counter"})
    worker.log.debug("baskets", extra={"metric": "shop.baskets", "value": 1.5, "mtype": "gauge"})
    worker.log.info("took", extra={"metric": "shop.took", "value": 12, "mtype": "timer"})
    worker.log.info("size", extra={"metric": "shop.size", "value": 7, "mtype": "histogram"})
    worker.log.warning("careful")
    worker.log.critical("help")
"""


class Agent:
    """A statsd that only listens."""

    def __init__(self, unix: Path | None = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(str(unix) if unix else ("127.0.0.1", 0))
        self.heard: list[str] = []

    @property
    def option(self) -> str:
        name = self.socket.getsockname()
        return f"unix://{name}" if isinstance(name, str) else f"127.0.0.1:{name[1]}"

    def listen(self) -> list[str]:
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def wait(self, pattern: str) -> str:
        def found() -> str | None:
            return next((packet for packet in self.listen() if re.fullmatch(pattern, packet)), None)

        packet = eventually(found, within=20, what=lambda: f"{pattern!r}; heard: {self.heard}")
        assert packet is not None
        return packet


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent()
    with agent.socket:
        yield agent


def start(serve: Serve, agent: Agent, *options: str, app: str = "lab", kind: str | None = None) -> Server:
    server = serve(app, "--statsd-host", agent.option, *options, kind=kind)
    # The first request is the fixture's own.
    agent.wait(r".*gunicorn\.request\.status\..*")
    agent.listen().clear()
    return server


@parity
def test_a_request_is_three_packets(serve: Serve, agent: Agent, kind: str) -> None:
    server = start(serve, agent, "--statsd-prefix", "shop", kind=kind)
    assert server.get("/").status == 200
    agent.wait(r"shop\.gunicorn\.request\.status\.200:1\|c\|@1\.0")
    # The number of workers may be told at any time.
    duration, requests, _ = [packet for packet in agent.heard if ".request" in packet]
    assert re.fullmatch(r"shop\.gunicorn\.request\.duration:\d+\.\d+\|ms", duration)
    assert requests == "shop.gunicorn.requests:1|c|@1.0"


@parity
def test_requests_of_asgi_applications(serve: Serve, agent: Agent) -> None:
    server = start(serve, agent, "--dogstatsd-tags", "a:b,c:d", app="asgi_lab")
    server.get("/nowhere")
    agent.wait(r"gunicorn\.requests:1\|c\|@1\.0\|#a:b,c:d")


def test_a_refused_request_counts(serve: Serve, agent: Agent) -> None:
    server = start(serve, agent)
    with server.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        assert wire.reply().status == 400
    agent.wait(r"gunicorn\.request\.status\.400:1\|c\|@1\.0")


@parity
def test_the_number_of_workers(serve: Serve, agent: Agent) -> None:
    server = serve("lab", "--statsd-host", agent.option, "-w", "2")
    agent.wait(r"gunicorn\.workers:2\|g")
    server.signal(SIGTTIN)
    agent.wait(r"gunicorn\.workers:3\|g")


@parity
def test_the_accept_queue(serve: Serve, agent: Agent) -> None:
    server = start(serve, agent, "--enable-backlog-metric", "-w", "1")
    agent.wait(r"gunicorn\.backlog:0\|h")
    with server.connect() as first:
        first.request("/gate/queue")
        serve.gates.wait_entered("queue")
        # Those who come while the worker is idle would be accepted, whether they ask or not.
        with server.connect() as second, server.connect() as third:
            second.request("/")
            third.request("/")
            agent.wait(r"gunicorn\.backlog:2\|h")
            serve.gates.open("queue")
            assert [wire.reply().status for wire in (first, second, third)] == [200, 200, 200]


@parity
def test_what_hooks_send(serve: Serve, agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text(CONF)
    server = serve("lab", "-c", str(tmp_path / "conf.py"), "--statsd-host", agent.option)
    for packet in [
        "shop.orders:3|c|@1.0",
        "shop.baskets:1.5|g",
        "shop.took:12|ms",
        "shop.size:7|h",
        "gunicorn.log.warning:1|c|@1.0",
        "gunicorn.log.critical:1|c|@1.0",
    ]:
        agent.wait(re.escape(packet))
    assert "took" in server.log and "baskets" not in server.log


@parity
def test_lines_of_the_server_are_counted(serve: Serve, agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def application(environ, start_response):\n    1 / 0\n")
    server = start(serve, agent, "--pythonpath", str(tmp_path), app="broken")
    server.get("/")
    agent.wait(r"gunicorn\.log\.exception:1\|c\|@1\.0")
    os.kill(server.workers()[0], 9)
    agent.wait(r"gunicorn\.log\.error:1\|c\|@1\.0")


def test_an_agent_at_a_path_may_come_and_go(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "statsd"
    server = serve("lab", "--statsd-host", f"unix://{path}")
    server.wait_log("statsd at .* does not take metrics")
    for _ in range(2):
        agent = Agent(path)
        with agent.socket:
            assert server.get().status == 200
            agent.wait(r"gunicorn\.requests:1\|c\|@1\.0")
        path.unlink()
    for _ in range(3):
        assert server.get().status == 200
    # Once for each process that sends.
    assert server.log.count("does not take metrics") <= 2


@parity
def test_nobody_who_listens_costs_nothing(serve: Serve) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    server = serve("lab", "--statsd-host", f"127.0.0.1:{port}")
    assert [server.get().status for _ in range(5)] == [200] * 5


def test_a_host_that_does_not_exist(serve: Serve) -> None:
    server = serve("lab", "--statsd-host", "no.such.host.invalid:8125")
    server.wait_log("statsd_host: no metrics are sent")
    assert server.get().status == 200


@pytest.mark.parametrize("address", ["h:port", "fd://3"])
def test_what_is_no_address_is_refused(serve: Serve, address: str) -> None:
    refusal = serve.refused("lab", "--statsd-host", address)
    assert refusal.code == 1
    assert "HOST:PORT or unix://PATH" in refusal.text


@pytest.mark.parametrize("name", ["gunicorn.instrument.statsd.Statsd", "oxicorn.instrument.statsd.Statsd"])
def test_the_class_by_its_name(serve: Serve, agent: Agent, tmp_path: Path, name: str) -> None:
    (tmp_path / "conf.py").write_text(CONF + f"logger_class = {name!r}\n")
    serve("lab", "-c", str(tmp_path / "conf.py"), "--statsd-host", agent.option)
    agent.wait(r"shop\.orders:3\|c\|@1\.0")
    agent.wait(r"gunicorn\.log\.warning:1\|c\|@1\.0")


def test_a_subclass_measures_too(serve: Serve, agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from gunicorn.instrument.statsd import Statsd\n"
        "class Logger(Statsd):\n"
        "    def warning(self, msg, *args, **kwargs):\n"
        "        super().warning('own: ' + str(msg), *args, **kwargs)\n"
        "        self.gauge('own.gauge', 4)\n"
    )
    (tmp_path / "conf.py").write_text(CONF + "from own import Logger\nlogger_class = Logger\n")
    server = serve("lab", "-c", "conf.py", "--statsd-host", agent.option, "--pythonpath", f"{APPS},.", cwd=tmp_path)
    agent.wait(r"own\.gauge:4\|g")
    server.wait_log("own: careful")
    assert server.get().status == 200
    agent.wait(r"gunicorn\.requests:1\|c\|@1\.0")
