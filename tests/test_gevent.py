"""gevent workers: a greenlet for each request, on one thread."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGQUIT, SIGTERM

import pytest
from harness import Serve, Server, eventually

pytest.importorskip("gevent", reason="gevent is not installed")

GEVENT = ("-k", "gevent")


@pytest.fixture(scope="module")
def server(serve_module: Serve) -> Server:
    return serve_module("gevent_lab:app", *GEVENT)


@pytest.fixture
def together() -> Callable[[Server, str, int], list[bytes]]:
    """Sends a request on so many connections at the same time, and returns the bodies."""

    def ask(server: Server, target: str, count: int) -> list[bytes]:
        host, port = server.address[:2]

        async def one() -> bytes:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            whole = await asyncio.wait_for(reader.read(), 30)
            writer.close()
            head, _, body = whole.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), whole[:200]
            return body

        async def all_of_them() -> list[bytes]:
            return await asyncio.gather(*(one() for _ in range(count)))

        return asyncio.run(all_of_them())

    return ask


def test_five_hundred_views_wait_at_once_in_one_worker(server: Server, together) -> None:
    assert together(server, "/crowd/500", 500) == [b"together"] * 500


def test_the_library_is_patched_before_the_application_is_imported(server: Server) -> None:
    assert server.get("/").text.startswith("True True ")


@pytest.mark.parametrize("name", ["gevent_wsgi", "gevent_pywsgi", "gunicorn.workers.ggevent.GeventWorker"])
def test_it_is_known_under_gunicorns_names(serve: Serve, name: str) -> None:
    server = serve("gevent_lab:app", "-k", name)
    assert "Using worker: gevent" in server.log
    assert server.get("/").status == 200


def test_a_request_finds_nothing_of_the_one_before(server: Server) -> None:
    with server.connect() as wire:
        for _ in range(5):
            assert wire.get("/traces").text == "(0, 0)"


def test_a_greenlet_serves_again_where_nothing_leads_to_it(server: Server) -> None:
    with server.connect() as wire:
        names = [wire.get("/which").text for _ in range(5)]
        assert len(set(names)) == 1
        kept = wire.get("/keep").text
        assert wire.get("/which").text != kept
        eventually(lambda: wire.get("/dead").text.endswith("True]"), what="the end of a greenlet that is kept")


def test_a_time_out_that_a_view_leaves_running_hits_no_other_request(server: Server) -> None:
    with server.connect() as wire:
        assert wire.get("/alarm/0.05").text == "set"
        through = wire.get("/crowd/1")
        assert through.status == 200
        began = time.monotonic()
        while time.monotonic() - began < 0.2:
            assert wire.get("/read").text == "0"


def test_a_killed_greenlet_is_no_error_and_its_client_is_not_answered(serve: Serve) -> None:
    server = serve("gevent_lab:app", *GEVENT)
    with server.connect() as wire:
        wire.request("/kill")
        wire.assert_closed()
    assert server.get("/").status == 200
    assert "Error handling request" not in server.log


@pytest.mark.parametrize("place", ["view", "fields", "next"])
def test_a_greenlet_is_killed_inside_each_native_callable(serve: Serve, place: str) -> None:
    server = serve("gevent_lab:app", *GEVENT)
    with server.connect() as wire:
        wire.request(f"/victim/{place}")
        serve.gates.wait_marked(f"victim-{place}")
        assert server.get("/kill_kept").text == "[True]"
        wire.assert_closed()
    expected = [place] + (["close"] if place == "next" else [])
    assert server.get("/killed").text == repr(expected)
    assert server.get("/traces").text == "(0, 0)"
    assert "Error handling request" not in server.log


def test_native_callables_are_entered_and_left_in_any_order(server: Server, together) -> None:
    bodies = together(server, "/interleaved/20", 60)
    assert {re.sub(rb"[0-9a-f]+\r\n|\r\n", b"", body) for body in bodies} == {b"w" + b"." * 20}


def test_a_socket_that_would_block_lets_others_run(server: Server) -> None:
    assert server.get("/ask/ask/ask/read").text == "0"


def test_threads_and_locks_of_the_library_are_gevents(server: Server, together) -> None:
    assert server.get("/thread").text == "ran"
    assert together(server, "/locked", 50) == [b"locked"] * 50


def test_a_slow_upload_takes_no_greenlet(serve: Serve) -> None:
    server = serve("gevent_lab:app", *GEVENT, "--worker-connections", "2")
    with server.connect() as slow:
        slow.send(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        assert server.get("/").status == 200
        slow.send(b"67890")
        assert slow.reply().text == "10"


@pytest.mark.parametrize("way", ["stream", "written", "whole"])
def test_a_client_that_does_not_read_holds_up_no_other(serve: Serve, way: str) -> None:
    server = serve("gevent_lab:app", *GEVENT, "--limit-response-spool", "0")
    with server.connect(receive_buffer=4096) as slow:
        slow.request(f"/{way}/400")
        began = time.monotonic()
        for _ in range(20):
            assert server.get("/").status == 200
        assert time.monotonic() - began < 5
        assert slow.reply().body == b"x" * 65536 * 400


def test_worker_connections_bounds_the_greenlets(serve: Serve) -> None:
    server = serve("gevent_lab:app", *GEVENT, "--worker-connections", "2")
    with ThreadPoolExecutor(3) as threads:
        held = [threads.submit(server.get, f"/gate/{name}") for name in ("a", "b")]
        for name in ("a", "b"):
            serve.gates.wait_entered(name)
        third = threads.submit(server.get, "/gate/c")
        time.sleep(0.3)
        assert not serve.gates.entered("c")
        serve.gates.open("a")
        serve.gates.wait_entered("c")
        for name in ("b", "c"):
            serve.gates.open(name)
        assert [future.result().text for future in (*held, third)] == ["through"] * 3


def test_a_stop_finishes_what_has_begun(serve: Serve) -> None:
    server = serve("gevent_lab:app", *GEVENT)
    with server.connect() as wire:
        wire.request("/gate/a")
        serve.gates.wait_entered("a")
        server.signal(SIGTERM)
        server.wait_log("Handling signal: term")
        serve.gates.open("a")
        assert wire.reply().text == "through"
    assert server.wait_exit() == 0


def test_what_outlasts_graceful_timeout_is_killed_and_told(serve: Serve) -> None:
    server = serve("gevent_lab:app", *GEVENT, "--graceful-timeout", "1")
    with server.connect() as wire:
        wire.request("/gate/a")
        serve.gates.wait_entered("a")
        assert server.stop(SIGTERM) == 0
        wire.assert_closed()
    assert "Requests cut off that have outlasted graceful_timeout: 1" in server.log


def test_a_quick_stop_waits_for_no_view(serve: Serve) -> None:
    server = serve("gevent_lab:app", *GEVENT)
    with server.connect() as wire:
        wire.request("/gate/a")
        serve.gates.wait_entered("a")
        assert server.stop(SIGQUIT, within=5) == 0
        wire.assert_closed()


def test_a_view_that_blocks_the_hub_is_answered_504_and_its_worker_replaced(serve: Serve) -> None:
    server = serve("gevent_lab:app", *GEVENT, "--timeout", "3", "--worker-boot-timeout", "30")
    workers = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/block/30")
        assert wire.reply().status == 504
    server.wait_replaced(workers, 1)
    assert server.get("/").status == 200


def test_views_that_wait_are_not_timed_out(serve: Serve) -> None:
    server = serve("gevent_lab:app", *GEVENT, "--timeout", "3", "--worker-boot-timeout", "30")
    with server.connect() as wire:
        wire.request("/gate/a")
        serve.gates.wait_entered("a")
        time.sleep(4)
        serve.gates.open("a")
        assert wire.reply().text == "through"


def test_max_requests_loses_none(serve: Serve, together) -> None:
    server = serve("gevent_lab:app", *GEVENT, "--max-requests", "20")
    workers = server.wait_workers(1)
    for _ in range(5):
        together(server, "/read", 20)
    server.wait_replaced(workers, 1)


def test_an_exit_of_the_application_ends_its_worker_alone(serve: Serve) -> None:
    server = serve("gevent_lab:app", *GEVENT)
    workers = server.wait_workers(1)
    server.get("/exit")
    server.wait_replaced(workers, 1)
    assert server.get("/").status == 200


def test_a_child_of_a_view_waits_by_its_own_hub(server: Server) -> None:
    assert server.get("/fork").text == "7"
    assert server.get("/").status == 200


def test_a_socket_that_the_application_takes_waits_by_the_hub(serve: Serve) -> None:
    server = serve("gevent_lab:app", *GEVENT)
    with server.connect() as wire:
        wire.request("/socket")
        serve.gates.wait_marked("taken")
        assert server.get("/").status == 200
        wire.send(b"hello")
        assert wire.rest().endswith(b"\r\n\r\nHELLO")


CONF = """
import os, sys
from pathlib import Path

def note(name):
    monkey = sys.modules.get("gevent.monkey")
    patched = monkey is not None and monkey.is_module_patched("socket")
    with (Path(os.environ["LAB_GATES"]) / "hooks").open("a") as file:
        file.write(f"{name} {patched}\\n")

def on_starting(server): note("on_starting")
def when_ready(server): note("when_ready")
def post_fork(server, worker): note("post_fork")
def post_worker_init(worker): note("post_worker_init")
def pre_request(worker, req): note("pre_request")
def post_request(worker, req, environ, resp): note("post_request")
def worker_exit(server, worker): note("worker_exit")
"""


@pytest.mark.parametrize("preload", [False, True])
def test_hooks_run_in_gunicorns_order(serve: Serve, tmp_path: Path, preload: bool) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text(CONF)
    server = serve("gevent_lab:app", *GEVENT, "-c", str(conf), *(["--preload"] if preload else []), ready=False)
    server.wait_listening()
    assert server.get("/").text.startswith("True True ")
    assert server.stop() == 0
    assert serve.gates.folder.joinpath("hooks").read_text().splitlines() == [
        "on_starting False",
        f"when_ready {preload}",
        f"post_fork {preload}",
        "post_worker_init True",
        "pre_request True",
        "post_request True",
        "worker_exit True",
    ]


def test_the_log_names_what_was_imported_too_early(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "early_bird.py").write_text("from time import sleep\nfrom socket import socket as Socket\n")
    (tmp_path / "conf.py").write_text("import sys\nsys.path.insert(0, '.')\nimport early_bird\n")
    (tmp_path / "app.py").write_text("def app(e, s):\n    s('200 OK', [])\n    return []\n")
    server = serve("app:app", *GEVENT, "-c", "conf.py", cwd=tmp_path)
    assert re.search(r"Imported before gevent could patch .*: early_bird \(socket\.socket, time\.sleep\)", server.log)


def test_nothing_is_said_where_nothing_was_imported_too_early(server: Server) -> None:
    assert "gevent could patch" not in server.log
    assert "MonkeyPatchWarning" not in server.log


def test_an_asgi_application_is_refused(serve: Serve) -> None:
    refused = serve.refused("asgi_lab:app", *GEVENT)
    assert refused.code != 0
    assert "asgi" in refused.text


def test_without_gevent_the_server_does_not_start(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("import sys\nsys.modules['gevent'] = None\n")
    refused = serve.refused("lab", *GEVENT, "-c", str(tmp_path / "conf.py"))
    assert refused.code == 1
    assert "gevent needs gevent, which is not installed" in refused.text


def test_flask_serves(serve: Serve, together) -> None:
    server = serve("flask_on_gevent:app", *GEVENT)
    assert together(server, "/crowd/40", 40) == [b"together"] * 40


OWN = """
from gunicorn.workers.ggevent import GeventWorker

class Worker(GeventWorker):
    def init_process(self):
        self.log.info("an own init_process")
        super().init_process()
"""


def test_a_class_may_extend_gunicorns(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    server = serve("gevent_lab:app", "-k", "own.Worker", env={"PYTHONPATH": str(tmp_path)})
    assert "an own init_process" in server.log
    assert server.get("/").text.startswith("True True ")
