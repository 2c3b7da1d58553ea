"""Programs and tests start servers with `oxicorn.run`, `oxicorn.serve` and `oxicorn.Server`."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import httpx
import oxicorn
import pytest
from harness import APPS, eventually, free_port
from harness.server import environment
from oxicorn.errors import AppError

sys.path.insert(0, str(APPS))
import own_server

BOTH = pytest.mark.parametrize("app", [own_server.app, own_server.wsgi], ids=["asgi", "wsgi"])


def text(url: str, path: str = "/") -> str:
    return httpx.get(url + path, trust_env=False, timeout=20).text


@BOTH
def test_a_server_serves_within_its_block(app) -> None:
    before = threading.active_count()
    with oxicorn.Server(app) as server:
        assert server.started
        assert server.url.startswith("http://127.0.0.1:") and not server.url.endswith(":0")
        assert "MainThread" not in text(server.url)
        url = server.url
    with pytest.raises(httpx.ConnectError):
        text(url)
    assert threading.active_count() == before


@BOTH
def test_a_server_serves_within_its_block_on_an_event_loop(app) -> None:
    async def main() -> str:
        async with oxicorn.Server(app) as server, httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(server.url)).text

    answered = asyncio.run(main())
    assert ("MainThread" in answered) == (app is own_server.app)


def test_many_servers_come_and_go_at_the_same_time() -> None:
    with ExitStack() as stack:
        apps = [own_server.app, own_server.wsgi] * 3
        servers = [stack.enter_context(oxicorn.Server(app, threads=2)) for app in apps]
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(text, [server.url for server in servers] * 5))
        assert len(answers) == 30 and all(answers)
        assert len({server.url for server in servers}) == 6


def test_the_lifespan_is_told_of_start_and_end() -> None:
    told: list[str] = []

    async def app(scope, receive, send):
        assert scope["type"] == "lifespan"
        scope["state"]["kept"] = 1
        for _ in range(2):
            message = await receive()
            told.append(message["type"])
            await send({"type": f"{message['type']}.complete"})

    with oxicorn.Server(app):
        assert told == ["lifespan.startup"]
    assert told == ["lifespan.startup", "lifespan.shutdown"]


def test_a_request_that_has_begun_is_answered() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def app(environ, start_response):
        entered.set()
        assert go_on.wait(20)
        start_response("200 OK", [("Content-Length", "4")])
        return [b"late"]

    with ThreadPoolExecutor(1) as client:
        with oxicorn.Server(app, threads=2) as server:
            answer = client.submit(text, server.url)
            assert entered.wait(20)
            threading.Timer(0.2, go_on.set).start()
        assert answer.result() == "late"


def test_addresses(tmp_path: Path) -> None:
    with oxicorn.Server(own_server.wsgi, host="::1") as server:
        assert server.url.startswith("http://[::1]:") and text(server.url)
    path = str(tmp_path / "socket")
    with oxicorn.Server(own_server.wsgi, uds=path) as server:
        assert server.url == f"unix:{path}"
        with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
            assert client.get("http://localhost/").status_code == 200
    assert not Path(path).exists()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            oxicorn.Server(own_server.wsgi, port=port).__enter__()
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    with oxicorn.Server(own_server.app, sockets=[sock]) as server:
        assert server.address == ("127.0.0.1", port) and text(server.url)


def test_settings_hold_and_mistakes_are_told(tmp_path: Path) -> None:
    log = tmp_path / "access"
    settings = {"accesslog": str(log), "access_log_format": "%(r)s", "response_headers": ["X-Own: yes"]}
    with oxicorn.Server(own_server.app, **settings) as server:
        assert httpx.get(server.url, trust_env=False).headers["X-Own"] == "yes"
    assert log.read_text() == "GET / HTTP/1.1\n"
    for wrong, reason in [
        ({"keepalive": "long"}, "keepalive: 'long' is not valid"),
        ({"worker_class": "gevent"}, "worker_class: gevent cannot run in the program's own process"),
        ({"worker_class": "own.Worker"}, "worker_class: own.Worker cannot run"),
        ({"post_fork": lambda server, worker: None}, "post_fork is not called"),
        ({"host": "127.0.0.1", "bind": "127.0.0.1:1"}, "give one of bind"),
    ]:
        with pytest.raises(ValueError, match=reason):
            oxicorn.Server(own_server.app, **wrong).__enter__()


def test_hooks_round_requests_are_called() -> None:
    seen: list[str] = []
    hooks = {"pre_request": lambda worker, req: seen.append(req.path)}
    with oxicorn.Server(own_server.wsgi, **hooks) as server:
        text(server.url, "/a")
    assert seen == ["/a"]


def test_an_application_that_cannot_start_is_told(tmp_path: Path) -> None:
    async def failing(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "not today"})

    with pytest.raises(AppError, match="not today"):
        oxicorn.Server(failing).__enter__()

    async def main() -> None:
        async with oxicorn.Server(failing):
            pass

    with pytest.raises(AppError, match="not today"):
        asyncio.run(main())
    with pytest.raises(AppError, match="cannot import"):
        oxicorn.Server("no.such.module:app").__enter__()


def test_a_server_leaves_with_its_task() -> None:
    async def main() -> None:
        port = free_port()
        serving = asyncio.ensure_future(oxicorn.serve(own_server.app, port=port))
        async with httpx.AsyncClient(trust_env=False) as client:

            async def answers() -> bool:
                try:
                    return (await client.get(f"http://127.0.0.1:{port}")).status_code == 200
                except httpx.ConnectError:
                    return False

            while not await answers():
                assert not serving.done()
                await asyncio.sleep(0.01)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(main())


@BOTH
def test_a_process_that_is_forked_beside_a_server_ends_by_itself(app, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oxicorn.server._AT_EXIT_S", 60.0)
    with oxicorn.Server(app) as server:
        child = os.fork()
        if child == 0:
            # As `sys.exit` does it, without what pytest would do.
            threading._shutdown()
            os._exit(4)
        deadline = time.monotonic() + 20
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert os.waitstatus_to_exitcode(ended[1]) == 4
        assert text(server.url).split()[0] == str(os.getpid())


def test_the_plugin_of_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import urllib.request\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'hello']\n"
        "def test_hello(oxicorn_server):\n"
        "    one, other = oxicorn_server(app), oxicorn_server(app, threads=2)\n"
        "    for server in (one, other):\n"
        "        assert urllib.request.urlopen(server.url).read() == b'hello'\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


Program = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], str]]]:
    """Start `own_server.py` in one of its ways, and wait until it serves."""
    with ExitStack() as stack:
        yield lambda way: stack.enter_context(_program(way))


@contextmanager
def _program(way: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "own_server.py", way, str(port)],
        cwd=APPS,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"

    def serves() -> bool:
        assert process.poll() is None, process.communicate()
        try:
            return bool(text(url))
        except httpx.TransportError:
            return False

    try:
        eventually(serves, within=30)
        yield process, url
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
@pytest.mark.parametrize("way", ["object", "wsgi"])
def test_run_serves_an_object_in_the_programs_process(program, way: str, number: Signals) -> None:
    process, url = program(way)
    assert text(url).split()[0] == str(process.pid)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert out.endswith(f"after {process.pid}\n") and "Traceback" not in err
    if way == "object":
        assert out.startswith("lifespan.startup\nlifespan.shutdown\n")


@pytest.mark.parametrize("way", ["string", "factory"])
def test_run_makes_the_program_an_arbiter_for_a_string(program, way: str) -> None:
    process, url = program(way)
    assert text(url).split()[0] != str(process.pid)
    process.send_signal(SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    # The program goes on in the arbiter alone.
    assert out.count("after") == 1 and f"after {process.pid}\n" in out


@pytest.mark.parametrize("way", ["object", "wsgi"])
def test_sys_exit_in_a_view_ends_the_program(program, way: str) -> None:
    process, url = program(way)
    with suppress(httpx.TransportError):
        text(url, "/exit")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 7 and "after" not in out


def test_run_serves_in_a_thread_that_is_no_daemon(program) -> None:
    process, url = program("thread")
    assert text(url)
    process.send_signal(SIGTERM)
    assert process.wait(20) == -SIGTERM


def test_a_program_that_ends_beside_a_serving_thread_ends_in_order(program) -> None:
    process, url = program("daemon")
    assert text(url)
    out, err = process.communicate("", timeout=20)
    assert process.returncode == 0, err
    assert "after" in out and "lifespan.shutdown" in out


def test_serve_ends_with_the_loop_that_serves(program) -> None:
    process, url = program("loop")
    assert text(url)
    process.send_signal(SIGINT)
    out, err = process.communicate(timeout=20)
    assert "lifespan.shutdown" in out, err
