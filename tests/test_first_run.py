"""The first run is calm and exact: a short banner on a terminal, Gunicorn's lines elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from signal import SIGHUP, SIGINT

import pytest
from harness import APPS, Serve, Wire, eventually, free_port
from harness.terminal import Terminal

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": int(scope["path"][1:] or 200)})
        await send({"type": "http.response.body", "body": b""})
"""


@pytest.fixture
def port() -> int:
    return free_port()


def test_a_terminal_shows_a_banner(port: int) -> None:
    address = f"127.0.0.1:{port}"
    with Terminal("lab:application", "-w", "2", "--bind", address, cwd=APPS) as terminal:
        screen = terminal.wait_for("ready in")
        # What was found, where it listens, how many workers of which kind, and how long it took.
        for said in ("oxicorn 0.", "Python 3.", "lab:application", f"http://{address}"):
            assert said in screen, screen
        assert re.search(r"workers\s+2 .*sync", screen), screen
        assert re.search(r"limits\s+\S", screen), screen
        assert re.search(r"ready in \d+(\.\d+)? ?m?s", screen), screen
        assert len(screen.splitlines()) < 12, screen
        with Wire(("127.0.0.1", port)) as wire:
            assert wire.get().text == "Hello, world!"
        terminal.process.send_signal(SIGINT)
        assert terminal.process.wait(15) == 0
        assert "Traceback" not in terminal.screen


def test_ready_means_that_it_serves(port: int) -> None:
    with Terminal("lab", "--bind", f"127.0.0.1:{port}", cwd=APPS) as terminal:
        terminal.wait_for("ready in")
        with Wire(("127.0.0.1", port)) as wire:
            assert wire.patience(2).get().text == "Hello, world!"


def test_no_color_is_honoured(port: int) -> None:
    options = ("lab", "--bind", f"127.0.0.1:{port}")
    with Terminal(*options, cwd=APPS, env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("ready in")
        assert "\x1b[" not in terminal.screen


def test_an_error_on_a_terminal_is_short(serve: Serve, port: int) -> None:
    with Terminal("no_such_module", "--bind", f"127.0.0.1:{port}", cwd=APPS) as terminal:
        assert terminal.process.wait(20) == 3
        screen = terminal.screen
        assert "no_such_module" in screen and "Traceback" not in screen
        assert len(screen.splitlines()) < 12, screen


def test_elsewhere_the_lines_are_gunicorns(serve: Serve) -> None:
    server = serve("lab", "-w", "2")
    server.wait_workers(2)
    server.wait_log("Booting worker with pid", times=2)
    server.wait_log("Ready: ")
    said = [re.sub(r"^\[[^]]*\] \[\d+\] ", "", line) for line in server.err.splitlines()]
    assert re.fullmatch(r"\[INFO\] Starting oxicorn \d+\.\d+\.\d+", said[0])
    assert said[1] == f"[INFO] Listening at: {server.url} ({server.pid})"
    # The interface of the application is not known yet; Gunicorn stops at the first words.
    assert said[2] == "[INFO] Using worker: sync (asgi for an ASGI application)"
    assert all(re.fullmatch(r"\[INFO\] Booting worker with pid: \d+", line) for line in said[3:5])
    assert re.fullmatch(r"\[INFO\] Ready: 2 sync workers serve after \d+\.\d\d s", said[5])
    assert len(said) == 6
    assert "\x1b" not in server.err


def test_the_address_is_bound_before_the_application_is_imported(serve: Serve, write) -> None:
    write("slow.py", "import lab\nlab.wait_at('import')\napplication = lab.application\n")
    server = serve("slow", "--pythonpath", str(APPS), cwd=serve.folder, ready=False)
    server.wait_listening()
    with server.connect() as wire:
        wire.request()
        serve.gates.wait_entered("import")
        serve.gates.open("import")
        assert wire.reply().text == "Hello, world!"


KINDS = {
    "sync": ([], "sync"),
    "gthread": (["--threads", "3"], "gthread, 3 threads each"),
    "asgi": ([], "asgi"),
    "asgi preloaded": (["--preload"], "asgi, preloaded"),
    "asgi by name": (["-k", "uvicorn.workers.UvicornWorker"], "asgi"),
}


@pytest.mark.parametrize("case", KINDS)
def test_the_banner_shows_the_port_and_the_class_that_run(write, tmp_path: Path, case: str) -> None:
    options, shown = KINDS[case]
    write("shop.py", ASGI if "asgi" in case else "def app(environ, start_response):\n    return []\n")
    with Terminal("shop:app", "-w", "2", "-b", "127.0.0.1:0", *options, cwd=tmp_path) as terminal:
        terminal.wait_for("ready in")
        screen = terminal.text
        [port] = re.findall(r"listen +http://127\.0\.0\.1:(\d+)\n", screen)
        assert int(port) > 0
        assert re.search(rf"workers +2 × {re.escape(shown)}\n", screen), screen
        assert "speaks ASGI" not in screen, screen
        with Wire(("127.0.0.1", int(port))) as wire:
            wire.get()


def test_a_port_that_is_taken_has_no_banner(port: int) -> None:
    with Terminal("lab", "-b", f"127.0.0.1:{port}", cwd=APPS) as first:
        first.wait_for("ready in")
        with Terminal("lab", "-b", f"127.0.0.1:{port}", cwd=APPS) as second:
            assert second.process.wait(20) == 1
            assert "in use" in second.text and "listen" not in second.text, second.text


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_say_once_that_the_application_speaks_asgi(serve: Serve, write, workers: int) -> None:
    write("shop.py", ASGI)
    server = serve("shop:app", "-w", str(workers), cwd=serve.folder)
    verb = "worker serves" if workers == 1 else "workers serve"
    server.wait_log(rf"\[INFO\] Ready: {workers} asgi {verb} after \d+\.\d\d s$")
    assert server.log.count("The application speaks ASGI") == 1
    before = server.workers()
    server.signal(SIGHUP)
    server.wait_replaced(before, workers)
    server.wait_log("Ready: ", times=2)
    assert server.log.count("The application speaks ASGI") == 1


def test_a_ready_line_is_in_the_file_and_after_a_reload(serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    server = serve("lab", "-w", "2", "--threads", "2", "--error-logfile", str(log))
    ready = r"\[INFO\] Ready: 2 gthread workers serve after \d+\.\d\d s\n"
    eventually(lambda: len(re.findall(ready, log.read_text())) == 1, what=log.read_text)
    server.signal(SIGHUP)
    eventually(lambda: len(re.findall(ready, log.read_text())) == 2, what=log.read_text)


NO_COLOURS = {"option": (["--no-use-colors"], {}), "NO_COLOR": ([], {"NO_COLOR": "1"}), "TERM": ([], {"TERM": "dumb"})}


@pytest.mark.parametrize("case", NO_COLOURS)
def test_colours_can_be_off(port: int, case: str) -> None:
    options, env = NO_COLOURS[case]
    words = ("lab", "--bind", f"127.0.0.1:{port}", "--reload", "--access-logfile", "-", *options)
    with Terminal(*words, cwd=APPS, env=env) as terminal:
        terminal.wait_for("ready in")
        with Wire(("127.0.0.1", port)) as wire:
            wire.get()
        assert '"GET / HTTP/1.1" 200 ' in terminal.wait_for("GET /")
        terminal.process.send_signal(SIGHUP)
        terminal.wait_for("Ready: ")
        assert "\x1b[" not in terminal.screen


def test_colours_can_be_on_where_no_terminal_is(serve: Serve) -> None:
    server = serve("lab", "--use-colors", "--access-logfile", "-")
    server.wait_log(r"\[\x1b\[32mINFO\x1b\[0m\] Ready")
    server.wait_log(r'"GET / HTTP/1.1" \x1b\[32m200\x1b\[0m')


@pytest.mark.parametrize("words", [["shop:app", "--reload"], ["dev", "shop:app"], ["dev"]], ids=" ".join)
@pytest.mark.parametrize("speaks", ["wsgi", "asgi"])
def test_requests_leave_coloured_lines_where_a_person_develops(
    write, tmp_path: Path, port: int, words: list[str], speaks: str
) -> None:
    wsgi = """
    def app(environ, start_response):
        start_response(environ["PATH_INFO"][1:] + " X", [("Content-Length", "0")])
        return []
    """
    write("shop.py", ASGI if speaks == "asgi" else wsgi)
    with Terminal(*words, "--bind", f"127.0.0.1:{port}", cwd=tmp_path) as terminal:
        assert re.search(r"app +shop:app\n", terminal.wait_for("ready in"))
        for status, colour in [(200, 32), (302, 36), (404, 33), (500, 31)]:
            with Wire(("127.0.0.1", port)) as wire:
                assert wire.get(f"/{status}").status == status
            terminal.wait_for(f"GET /{status} ")
            assert f'"GET /{status} HTTP/1.1" \x1b[{colour}m{status}\x1b[0m ' in terminal.screen


def test_no_access_log_where_it_is_not_wanted(port: int) -> None:
    for words in (["lab"], ["lab", "--reload", "--no-access-log"]):
        with Terminal(*words, "--bind", f"127.0.0.1:{port}", cwd=APPS) as terminal:
            terminal.wait_for("ready in")
            with Wire(("127.0.0.1", port)) as wire:
                wire.get()
            terminal.process.send_signal(SIGINT)
            assert terminal.process.wait(15) == 0
            assert "GET /" not in terminal.text


def test_a_file_gets_no_access_lines_by_itself(serve: Serve) -> None:
    server = serve("dev", "lab")
    server.get()
    server.stop()
    assert server.out == ""


def test_dev_notices_changed_files_and_is_a_module_with_a_colon(serve: Serve, write) -> None:
    write(
        "dev.py", "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'one']\n"
    )
    server = serve("dev:application", cwd=serve.folder)
    assert server.get().body == b"one"
    server.stop()
    server = serve("dev", "dev", cwd=serve.folder)
    write(
        "dev.py", "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'two']\n"
    )
    eventually(lambda: server.get().body == b"two", within=20)
    refusal = serve.refused("dev", cwd=serve.gates.folder)
    assert refusal.code == 1 and "no application was named" in refusal.text


FAILURES = {
    "an exception": ("shop", "import json\n\nraise RuntimeError('no database')\n", "RuntimeError: no database"),
    "a missing module": ("shop", "import not_there\n", "ModuleNotFoundError: No module named 'not_there'"),
    "a slip": ("shop", "def application(:\n", "SyntaxError: "),
    "another name": ("shp", "application = 1\n", 'cannot import "shp"'),
    "no attribute": ("shop:app", "x = 1\n", 'shop has no attribute "app"'),
    "no application": ("shop:x", "x = 1\n", '"shop:x" is of the type int, not a WSGI or ASGI application'),
    "a lifespan": (
        "shop",
        "async def application(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n",
        "no database",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
@pytest.mark.parametrize("options", [[], ["--error-logfile", "e.log"], ["--preload"]], ids=" ".join)
def test_a_start_that_fails_ends_with_the_cause(serve: Serve, write, case: str, options: list[str]) -> None:
    app, text, cause = FAILURES[case]
    write("shop.py", text)
    refusal = serve.refused(app, "-w", "3", *options, cwd=serve.folder)
    assert refusal.code in (3, 4), refusal.text
    last = refusal.err.rstrip().splitlines()[-1]
    if "--preload" in options and last.startswith("  hint: "):
        last = refusal.err.rstrip().splitlines()[-2]
    assert cause in last, refusal.err
    if "--error-logfile" in options:
        assert cause in (serve.folder / "e.log").read_text().rstrip().splitlines()[-1]
        assert len(refusal.err.splitlines()) == 1, refusal.err


def test_a_start_that_fails_on_a_terminal_ends_with_the_cause(write, tmp_path: Path, port: int) -> None:
    write("shop.py", "raise RuntimeError('no database')\n")
    with Terminal("shop", "-w", "2", "--bind", f"127.0.0.1:{port}", cwd=tmp_path) as terminal:
        assert terminal.process.wait(20) == 3
        assert "RuntimeError: no database" in terminal.text.rstrip().splitlines()[-1], terminal.text


def test_a_hook_that_fails_is_the_cause(serve: Serve, write) -> None:
    write("conf.py", "def post_fork(server, worker):\n    raise RuntimeError('no database')\n")
    refusal = serve.refused("lab", "-c", str(serve.folder / "conf.py"))
    assert refusal.code == 3
    assert "RuntimeError: no database" in refusal.err.rstrip().splitlines()[-1], refusal.err


def test_a_directory_that_is_missing_is_named(serve: Serve, tmp_path: Path) -> None:
    missing = f"{tmp_path}/nowhere"
    for words in (["-b", f"unix:{missing}/s"], ["-p", f"{missing}/pid"], ["--error-logfile", f"{missing}/log"]):
        refusal = serve.refused("lab", *words, bind=None)
        assert refusal.code == 1
        assert f"no such directory: {missing}" in refusal.text, refusal.text
        assert "os error" not in refusal.text


@pytest.mark.parametrize("columns", [50, 72, 120])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_help_fits_the_terminal(tmp_path: Path, option: str, columns: int) -> None:
    with Terminal(option, cwd=tmp_path, columns=columns) as terminal:
        # A terminal that nothing is read from takes a few kilobytes at most.
        eventually(lambda: terminal.screen and terminal.process.poll() is not None, within=20)
        assert terminal.process.returncode == 0
        lines = terminal.text.splitlines()
    assert max(map(len, lines)) <= columns
    assert any("--workers" in line for line in lines)
    assert any("--umask" in line for line in lines) is (option == "--help")
