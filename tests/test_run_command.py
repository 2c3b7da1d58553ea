"""`oxicorn run` starts programs, and is their uvicorn, Gunicorn, Hypercorn, Granian or Waitress."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import httpx
import pytest
from harness import APPS, eventually, free_port
from harness.server import environment

RUN = [sys.executable, "-m", "oxicorn", "run"]


@contextmanager
def _program(way: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    port, err = free_port(), tmp_path / "err"
    with err.open("w") as log:
        process = subprocess.Popen(
            [*RUN, "--", "python", "ways_in.py", way, str(port)],
            cwd=APPS,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield process, f"http://127.0.0.1:{port}", err
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], str, Path]]]:
    """Start `ways_in.py` in one of its ways, and wait until it serves."""
    with ExitStack() as stack:

        def start(way: str) -> tuple[subprocess.Popen[str], str, Path]:
            process, url, err = stack.enter_context(_program(way, tmp_path))

            def serves() -> bool:
                assert process.poll() is None, err.read_text()
                try:
                    return get(url).status_code == 200
                except httpx.TransportError:
                    return False

            eventually(serves, within=30, what=err.read_text)
            return process, url, err

        yield start


def get(url: str, **fields: str) -> httpx.Response:
    return httpx.get(url, headers=fields, trust_env=False, timeout=20)


@pytest.mark.parametrize(
    ("way", "number", "here"),
    [
        ("uvicorn_run", SIGINT, True),
        ("uvicorn_workers", SIGTERM, False),
        ("uvicorn_factory", SIGINT, True),
        ("uvicorn_serve", SIGINT, True),
        ("hypercorn_serve", SIGTERM, True),
        ("granian_asgi", SIGINT, False),
        ("granian_wsgi", SIGTERM, False),
        ("waitress_serve", SIGINT, True),
        ("gunicorn_base", SIGTERM, False),
        ("gunicorn_child", SIGTERM, False),
    ],
)
def test_a_program_starts_its_server(program, way: str, number: Signals, here: bool) -> None:
    process, url, err = program(way)
    answer = get(url)
    assert answer.headers["Server"] == "oxicorn"
    assert (answer.text.split()[0] == str(process.pid)) == here
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert process.returncode in (0, -SIGINT), err.read_text()
    # asyncio.run tells its caller of Ctrl+C, as it does with uvicorn.
    if way not in ("uvicorn_serve", "gunicorn_base", "gunicorn_child"):
        assert f"after {process.pid}" in out and "Traceback" not in err.read_text()
    if way.startswith("uvicorn") and here:
        assert "lifespan.shutdown" in out


def test_uvicorns_options_mean_what_they_mean_there(program) -> None:
    _, url, err = program("uvicorn_run")
    answer = get(url, under_score="kept")
    assert answer.text.split()[1:] == ["/mount", "kept"] and answer.headers["x-own"] == "yes"
    assert "http='h11' has no effect here" in err.read_text()


def test_waitress_mounts_and_names_the_scheme(program) -> None:
    _, url, _ = program("waitress_serve")
    assert get(url).text.split()[1:] == ["/mount", "https"]


def test_a_server_in_a_thread_stops_when_it_is_told(program) -> None:
    process, url, err = program("uvicorn_thread")
    assert get(url).text.split()[0] == str(process.pid)
    out, _ = process.communicate("\n", timeout=20)
    assert process.returncode == 0, err.read_text()
    assert "lifespan.shutdown" in out and "after" in out


def test_a_trigger_ends_hypercorns_serve(program) -> None:
    process, _, err = program("hypercorn_trigger")
    out, _ = process.communicate("\n", timeout=20)
    assert process.returncode == 0, err.read_text()
    assert "lifespan.shutdown" in out and "after" in out


def test_a_server_that_the_program_starts_as_a_child_is_oxicorn_too(program) -> None:
    process, url, _ = program("uvicorn_child")
    answer = get(url)
    assert answer.headers["Server"] == "oxicorn"
    subprocess.run(["pkill", "-TERM", "-P", str(process.pid)], check=True)
    assert "after" in process.communicate(timeout=20)[0]


@pytest.mark.parametrize("words", [["compat", "ways_in.py"], ["compat", "-m", "ways_in"]], ids=" ".join)
def test_compat_answers_for_the_same_servers(words: list[str]) -> None:
    command = [sys.executable, "-m", f"oxicorn.{words[0]}", *words[1:], "waitress_refused", "0"]
    done = subprocess.run(command, cwd=APPS, env=environment(), capture_output=True, text=True, timeout=30)
    assert "options of Waitress that Oxicorn does not have" in done.stderr


@pytest.mark.parametrize(
    ("way", "code", "reason"),
    [
        ("uvicorn_failing", 3, "not today"),
        ("uvicorn_refused", 1, "ssl_context_factory: options of uvicorn that Oxicorn does not have"),
        ("granian_rsgi", 1, "RSGI is Granian's own protocol"),
        ("waitress_refused", 1, "adj: options of Waitress that Oxicorn does not have"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, way: str, code: int, reason: str) -> None:
    with _program(way, tmp_path) as (process, _, err):
        assert process.wait(30) == code
        assert reason in err.read_text()


def run(*words: str, cwd: Path = APPS, **variables: str) -> subprocess.CompletedProcess[str]:
    env = environment(variables)
    return subprocess.run([*RUN, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "no command was named"),
        (["-w", "4"], "-w stands before the command"),
        (["--", "no-such-program"], "no-such-program: No such file or directory"),
    ],
)
def test_a_command_that_is_none_is_refused(words: list[str], reason: str) -> None:
    done = run(*words)
    assert done.returncode in (2, 127) and reason in done.stderr and "Traceback" not in done.stderr


def test_a_program_keeps_its_arguments_its_path_and_its_sitecustomize(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.of_the_site = True\n")
    (tmp_path / "script.py").write_text(
        "import sys\n"
        "print(sys.argv, sys.path[0], sys.of_the_site, 'oxicorn' in sys.modules, 'run_site' in str(sys.path))\n"
        "raise SystemExit(5)\n"
    )
    done = run("--", "python", "script.py", "-w", "--", "x", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 5, done.stderr
    assert done.stdout.strip() == f"['script.py', '-w', '--', 'x'] {tmp_path} True False False"


def test_a_module_of_that_name_is_an_application_with_a_colon(serve, write) -> None:
    write(
        "run.py", "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'mine']\n"
    )
    assert serve("run:application", cwd=serve.folder).get().text == "mine"
