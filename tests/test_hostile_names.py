"""A project's files never stand in for modules that the server needs, whether root starts it or another user.

Every name of the standard library is a file in the project's directory that notes who executes it and fails. No start,
no request, no signal and no error may execute one of them: the server imports what it needs before it looks there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGABRT, SIGHUP, SIGTERM, SIGTTIN, SIGUSR1

import pytest
from harness import Refusal, Serve, Server, eventually, free_port, run

ROOT = os.geteuid() == 0 and os.environ.get("CI") != "true"

#: Whose rights the server starts with; without `--user` the test is the same for every user.
AS = {"as-root": ["--user", "nobody"], "as-self": []} if ROOT else {"as-self": []}

HOSTILE = """\
import posix
_file = posix.open({marks!r}, posix.O_WRONLY | posix.O_APPEND)
posix.write(_file, (__name__ + " by " + str(posix.geteuid()) + "\\n").encode())
posix.close(_file)
raise ImportError("the project's " + __name__)
"""

WSGI = """\
def application(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("from the application")
    if environ["PATH_INFO"] == "/errors":
        print("to the errors", file=environ["wsgi.errors"])
    body = environ["wsgi.input"].read() or b"ok"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

ASGI = """\
async def application(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/raise":
        raise ValueError("from the application")
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""

PROGRAM = """\
import sys
from gunicorn.app.base import BaseApplication
from app import application

class Program(BaseApplication):
    def load_config(self):
        self.cfg.set("bind", sys.argv[1])
        if len(sys.argv) > 2:
            self.cfg.set("user", sys.argv[2])

    def load(self):
        return application

Program().run()
"""


class Project:
    """A directory with an application and all the hostile names."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.marks = folder / "project", folder / "marks"
        self.marks.touch()
        self.folder.mkdir()
        (self.folder / "app.py").write_text(WSGI)
        (self.folder / "speaks_asgi.py").write_text(ASGI)
        (self.folder / "raises.py").write_text("raise ValueError('while it is imported')\n")
        self.make_hostile(sys.stdlib_module_names)

    def make_hostile(self, names: Iterator[str] | frozenset[str]) -> None:
        text = HOSTILE.format(marks=str(self.marks))
        # Programs of other makers that the standard library looks for in vain, and what we look for.
        for name in {*names, "setproctitle", "org", "java", "gunicorn", "sitecustomize"} - set(
            sys.builtin_module_names
        ):
            (self.folder / f"{name}.py").write_text(text)

    def settle(self) -> None:
        """Give all of it to the user whose rights the workers have."""
        if ROOT:
            for path in [self.folder, self.marks, *self.folder.rglob("*")]:
                shutil.chown(path, "nobody")

    def executed(self) -> list[str]:
        return self.marks.read_text().splitlines()


@pytest.fixture
def project() -> Iterator[Project]:
    """Not below pytest's own folder, which other users may not enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    found = Project(folder)
    found.settle()
    yield found
    shutil.rmtree(folder)


@pytest.fixture(params=AS.values(), ids=AS.keys())
def user(request: pytest.FixtureRequest) -> list[str]:
    return request.param


@pytest.fixture
def start(serve: Serve, project: Project) -> Callable[..., Server]:
    """Start with the project as `--chdir`, from a directory that has none of the names."""

    def start(app: str = "app", *options: str, ready: bool = True, **env: str) -> Server:
        chdir = ("--chdir", str(project.folder))
        return serve(app, *chdir, *options, cwd=Path("/"), env=env, ready=ready)

    return start


@pytest.mark.parametrize(
    ("app", "options"),
    [
        ("app", ["-k", "sync"]),
        ("app", ["-k", "gthread", "--threads", "2"]),
        ("app", []),
        ("speaks_asgi", []),
        ("speaks_asgi", ["-k", "asgi", "--asgi-loop", "asyncio"]),
        ("app", ["--preload"]),
        ("app", ["--access-logfile", "-", "--access-logformat", "%(u)s %(D)06d"]),
        ("app", ["--log-syslog", "--log-syslog-to", "udp://localhost:9"]),
        ("app", ["--statsd-host", "localhost:9"]),
        ("app", ["--reload"]),
        ("app", ["-w", "2", "--max-requests", "1"]),
        ("app", ["--limit-request-fields", "3"]),
    ],
    ids=lambda value: "-".join(value).replace("/", "") if isinstance(value, list) else value,
)
def test_a_server_needs_nothing_of_the_project(
    project: Project, start: Callable[..., Server], user: list[str], app: str, options: list[str]
) -> None:
    server = start(app, *options, *user)
    assert server.get("/").status == 200
    assert server.get("/raise").status == 500
    server.get("/errors", fields=[("Authorization", "Basic dXNlcjpwYXNz")])
    with server.connect() as wire:
        wire.send(b"GET /\x00 HTTP/1.1\r\n\r\n")
        assert wire.reply().status == 400
    server.signal(SIGUSR1)
    server.signal(SIGTTIN)
    server.wait_workers(2 + options.count("2") - options.count("--threads"))
    server.signal(SIGHUP)
    eventually(lambda: "Hang up" in server.log, what=lambda: server.log)
    assert server.get("/").status == 200
    assert server.stop(SIGTERM) == 0
    assert project.executed() == []


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed command: `python -m` imports modules of the current directory before any of ours."""
    command = Path(sys.executable).with_name("oxicorn")
    if not command.exists():
        pytest.skip("the command is not installed")
    monkeypatch.setenv("OXICORN_TEST_SERVER", str(command))


@pytest.mark.usefixtures("command")
def test_where_the_server_is_started_is_the_same(serve: Serve, project: Project, user: list[str]) -> None:
    server = serve("app", *user, cwd=project.folder)
    assert server.get("/").status == 200
    assert server.stop() == 0
    assert project.executed() == []


def test_by_python_m_all_is_well_that_python_itself_leaves_alone(serve: Serve, tmp_path: Path, user: list[str]) -> None:
    (tmp_path / "probe.py").write_text("import sys\nprint(*sys.modules)\n")
    listed = subprocess.run([sys.executable, "-m", "probe"], cwd=tmp_path, capture_output=True, text=True, check=True)
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        project = Project(folder)
        for name in {name.partition(".")[0] for name in listed.stdout.split()}:
            (project.folder / f"{name}.py").unlink(missing_ok=True)
        project.settle()
        server = serve("app", *user, cwd=project.folder)
        assert server.get("/").status == 200
        assert server.stop() == 0
        assert project.executed() == []
    finally:
        shutil.rmtree(folder)


@pytest.mark.usefixtures("command")
def test_a_conf_file_gets_what_is_installed(serve: Serve, project: Project, user: list[str]) -> None:
    if not user:
        pytest.skip("who is not root imports as Python does")
    conf = project.folder.parent / "conf.py"
    conf.write_text(
        "import multiprocessing, pickle, http.server, concurrent.futures, xml.dom.minidom, ctypes.util\n"
        "from project_settings import workers\n"
        "def post_fork(server, worker):\n    import getpass, gunicorn\n"
        "def when_ready(server):\n    import sqlite3, copy\n"
    )
    (project.folder / "project_settings.py").write_text("workers = 2\n")
    server = serve("app", "-c", str(conf), *user, cwd=project.folder)
    before = server.wait_workers(2)
    assert server.get("/").status == 200
    server.signal(SIGHUP)
    eventually(lambda: len(set(server.workers()) - set(before)) == 2, what=lambda: server.log)
    assert server.get("/").status == 200
    assert server.stop() == 0
    assert project.executed() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["raises"],
        ["raises", "--preload"],
        ["missing"],
        ["app:missing"],
        ["app", "--check-config"],
        ["speaks_asgi", "--check-config", "-k", "asgi"],
        ["raises", "--check-config"],
        ["app", "--print-config"],
        ["app", "--logger-class", "missing.Logger"],
        ["app", "-k", "missing.Worker"],
        ["app", "--log-config", "missing.ini"],
        [],
    ],
    ids=" ".join,
)
def test_nor_does_a_refusal(project: Project, user: list[str], arguments: list[str]) -> None:
    options = ["--chdir", str(project.folder), "--bind", "127.0.0.1:0", *user]
    refusal: Refusal = run(*arguments, *options, cwd=Path("/"))
    assert "the project's" not in refusal.text, refusal.text
    assert project.executed() == []
    if "raises" in arguments:
        assert "raise ValueError('while it is imported')" in refusal.text


def test_nor_does_a_worker_that_is_aborted(project: Project, start: Callable[..., Server], user: list[str]) -> None:
    server = start("app", *user)
    [worker] = server.wait_workers(1)
    os.kill(worker, SIGABRT)
    eventually(lambda: server.workers() not in ([], [worker]), what=lambda: server.log)
    assert server.get("/").status == 200
    assert project.executed() == []


def test_a_program_that_embeds_the_server(
    serve: Serve, project: Project, user: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own directory is searched first by Python itself; what the server imports once it runs is not found there."""
    program = project.folder.parent / "program.py"
    program.write_text(f"import sys\nsys.path.append({str(project.folder)!r})\n" + PROGRAM)
    monkeypatch.setenv("OXICORN_TEST_SERVER", f"{sys.executable} -m oxicorn.compat {program}")
    port = free_port()
    server = serve(None, f"127.0.0.1:{port}", *user[1:], cwd=Path("/"), bind=None, ready=False)
    server.address = ("127.0.0.1", port)
    server.wait_ready()
    assert server.get("/raise").status == 500
    assert server.stop() == 0
    assert project.executed() == []


def test_directories_of_pythonpath_stay_before_the_project(serve: Serve, tmp_path: Path) -> None:
    """As with Gunicorn: the project is put first only where it is not on the path yet."""
    for name in ("first", "project"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "both.py").write_text(f"NAME = {name!r}\n")
    (tmp_path / "project" / "shows.py").write_text(
        "import both\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', str(len(both.NAME)))])\n"
        "    return [both.NAME.encode()]\n"
    )
    path = f"{tmp_path / 'first'}:{tmp_path / 'project'}"
    options = ("--chdir", str(tmp_path / "project"))
    assert serve("shows", *options, cwd=Path("/"), env={"PYTHONPATH": path}).get().text == "first"
    assert serve("shows", *options, cwd=Path("/"), env={"PYTHONPATH": path.split(":")[0]}).get().text == "project"
