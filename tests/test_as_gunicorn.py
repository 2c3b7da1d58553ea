"""Applications that ask whether they run on Gunicorn are told so where the operator wants it, and only there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Serve, eventually
from harness.server import environment, free_port
from harness.wire import Wire

ASKING = """
import json
import os
import sys

ON_IMPORT = {
    "argv0": os.path.basename(sys.argv[0]),
    "software": os.environ.get("SERVER_SOFTWARE", ""),
    "known": "gunicorn" in sys.modules,
}


def title():
    with open("/proc/self/cmdline") as file:
        return file.read().split("\\0")[0]


def answer(software):
    module = sys.modules.get("gunicorn")
    return {
        **ON_IMPORT,
        "version": getattr(module, "__version__", None),
        "module": getattr(module, "SERVER_SOFTWARE", None),
        "environ": software,
        "title": title(),
    }


def application(environ, start_response):
    body = json.dumps(answer(environ["SERVER_SOFTWARE"])).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        body = json.dumps(answer(None)).encode()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})
"""

KINDS = {"sync": "application", "gthread": "application", "asgi": "asgi"}


@pytest.mark.parametrize("way", ["option", "conf file", "environment"])
@pytest.mark.parametrize("kind", KINDS)
def test_applications_see_gunicorn(serve: Serve, write, kind: str, way: str) -> None:
    write("asking.py", ASKING)
    options = {"gthread": ["--threads", "2"]}.get(kind, [])
    env = {}
    match way:
        case "option":
            options += ["--as-gunicorn"]
        case "conf file":
            write("gunicorn.conf.py", "as_gunicorn = True\n")
        case _:
            env = {"GUNICORN_CMD_ARGS": "--as-gunicorn"}
    app = f"asking:{KINDS[kind]}"
    server = serve(app, *options, cwd=serve.folder, env=env)
    reply = server.get()
    said = reply.json()
    environ = None if kind == "asgi" else "gunicorn/27.0.1"
    assert said == {
        "argv0": "gunicorn",
        "software": "gunicorn/27.0.1",
        "known": True,
        "version": "27.0.1",
        "module": "gunicorn/27.0.1",
        "environ": environ,
        "title": f"gunicorn: worker [{app}]",
    }
    assert reply.header("server") == "gunicorn"
    assert Path(f"/proc/{server.pid}/cmdline").read_text().split("\0")[0] == f"gunicorn: master [{app}]"


@pytest.mark.parametrize("kind", KINDS)
def test_by_default_they_see_oxicorn(serve: Serve, write, kind: str) -> None:
    write("asking.py", ASKING)
    app = f"asking:{KINDS[kind]}"
    server = serve(app, *({"gthread": ["--threads", "2"]}.get(kind, [])), cwd=serve.folder)
    reply = server.get()
    said = reply.json()
    assert said["known"] is False and said["argv0"] != "gunicorn"
    assert said["software"].startswith("oxicorn/") and said["title"] == f"oxicorn: worker [{app}]"
    assert reply.header("server") == "oxicorn"


@pytest.mark.parametrize("named", ["gunicorn/27.0.1", "gunicorn/20.0", "nginx"])
def test_a_conf_file_names_the_software(serve: Serve, write, named: str) -> None:
    write("asking.py", ASKING)
    write("gunicorn.conf.py", f"import gunicorn\ngunicorn.SERVER_SOFTWARE = {named!r}\n")
    for options in ([], ["--as-gunicorn"]):
        said = serve("asking", *options, cwd=serve.folder).get().json()
        assert said["environ"] == said["software"] == said["module"] == named


def run_compat(folder: Path, *words: str) -> tuple[subprocess.Popen[bytes], Wire]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "oxicorn.compat", *words, "--bind", f"127.0.0.1:{port}"],
        cwd=folder,
        env=environment(),
        start_new_session=True,
        stdout=(folder / "out").open("wb"),
        stderr=(folder / "err").open("wb"),
    )

    def connects() -> Wire | None:
        assert process.poll() is None, (folder / "err").read_text()
        try:
            return Wire(("127.0.0.1", port))
        except OSError:
            return None

    return process, eventually(connects, within=20)


@pytest.mark.parametrize("words", [["-m", "gunicorn"], ["gunicorn"], ["-m", "uvicorn"], ["uvicorn"]], ids=" ".join)
def test_the_commands_of_others_are_run(tmp_path: Path, write, words: list[str]) -> None:
    write("asking.py", ASKING)
    app = "asking:asgi" if "uvicorn" in words else "asking"
    process, wire = run_compat(tmp_path, *words, app)
    try:
        with wire:
            said = wire.patience(20).get().json()
        assert said["argv0"] == words[-1]
        if "uvicorn" in words:
            eventually(lambda: '"GET / HTTP/1.1" 200' in (tmp_path / "out").read_text())
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_names_that_programs_import_are_there(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        """
import json
import signal

import gunicorn.arbiter
import gunicorn.config
import gunicorn.http.body
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config, Setting, validate_pos_int
from gunicorn.http.body import Body, ChunkedReader, EOFReader, LengthReader
from gunicorn.workers.gasgi import ASGIWorker
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.sync import SyncWorker


class Depth(Setting):
    name = "depth"
    section = "Own"
    cli = ["--depth"]
    validator = validate_pos_int
    default = 3
    desc = "How deep."


assert signal.SIGHUP in gunicorn.arbiter.Arbiter.SIGNALS and signal.SIGCHLD not in gunicorn.arbiter.Arbiter.SIGNALS
assert gunicorn.arbiter.Arbiter.SIG_NAMES[signal.SIGTTIN] == "ttin"
cfg = Config()
assert cfg.depth == 3 and any(setting.name == "depth" for setting in gunicorn.config.KNOWN_SETTINGS)
cfg.set("depth", "0x10")
assert cfg.depth == 16
try:
    cfg.set("depth", -1)
except ValueError:
    pass
else:
    raise AssertionError("-1 was taken")
assert cfg.worker_class is SyncWorker
cfg.set("threads", 2)
assert cfg.worker_class is ThreadWorker
cfg.set("worker_class", "asgi")
assert cfg.worker_class is ASGIWorker and cfg.worker_class_str == "asgi"
assert ChunkedReader and EOFReader and LengthReader


def application(environ, start_response):
    body = json.dumps([isinstance(environ["wsgi.input"], Body)]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Program(BaseApplication):
    def load_config(self):
        import sys
        self.cfg.set("bind", sys.argv[2])
        self.cfg.set("depth", 5)

    def load(self):
        assert self.cfg.depth == 5
        return application


Program().run()
"""
    )
    process, wire = run_compat(tmp_path, "program.py")
    try:
        with wire:
            assert json.loads(wire.patience(20).get().body) == [True]
        title = Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")[0]
        assert title == "oxicorn: master [gunicorn]"
    finally:
        process.terminate()
        assert process.wait(20) == 0, (tmp_path / "err").read_text()


def test_a_conf_file_may_add_a_setting(serve: Serve, write) -> None:
    write(
        "conf.py",
        """
        from gunicorn.config import Setting, validate_string

        class Colour(Setting):
            name = "colour"
            validator = validate_string
            default = "red"

        colour = " blue "

        def when_ready(server):
            server.log.info("colour %s of %s", server.cfg.colour, server.cfg.worker_class.__name__)
        """,
    )
    server = serve("lab", "-c", str(serve.folder / "conf.py"))
    server.wait_log("colour blue of SyncWorker")


OWN_OPTIONS = """
import json
import sys

from gunicorn.app.base import Application
from gunicorn.config import Setting, validate_bool, validate_list_string, validate_pos_int


class Depth(Setting):
    name = "depth"
    cli = ["--depth", "-Z"]
    meta = "INT"
    type = int
    validator = validate_pos_int
    default = 3
    short = "How deep, in %."


class Labels(Setting):
    name = "labels"
    cli = ["--label"]
    action = "append"
    validator = validate_list_string
    default = []


class Dry(Setting):
    name = "dry"
    cli = ["--dry-run"]
    action = "store_true"
    validator = validate_bool
    default = False


class Program(Application):
    def init(self, parser, opts, args):
        self.words = args

    def load(self):
        return None


program = Program()
cfg = program.cfg
print(json.dumps([cfg.depth, cfg.labels, cfg.dry, cfg.workers, program.words]))
"""


def own_options(folder: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(OWN_OPTIONS)
    command = [sys.executable, "-m", "oxicorn.compat", "program.py", *words]
    return subprocess.run(command, cwd=folder, env=environment(env), capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [3, [], False, 1, []]),
        (["--depth", "5"], [5, [], False, 1, []]),
        (["shop:app", "-Z7", "-w", "4", "--dry-run"], [7, [], True, 4, ["shop:app"]]),
        (["-w4", "--label=a", "--label", "b c", "--depth=0", "x", "y"], [0, ["a", "b c"], False, 4, ["x", "y"]]),
        (["-n", "-b", "--depth", "1"], None),
        (["--depth", "deep"], None),
        (["--depth", "-1"], None),
        (["--dept", "5"], None),
        (["--", "--depth"], [3, [], False, 1, ["--depth"]]),
    ],
)
def test_options_of_own_settings_are_read(tmp_path: Path, words: list[str], expected: list[object] | None) -> None:
    done = own_options(tmp_path, *words)
    if expected is None:
        assert done.returncode in (1, 2) and "Traceback" not in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == expected


def test_the_environment_gives_options_of_own_settings_and_the_command_line_wins(tmp_path: Path) -> None:
    given = {"GUNICORN_CMD_ARGS": "--depth 8 --label env"}
    assert json.loads(own_options(tmp_path, env=given).stdout)[:2] == [8, ["env"]]
    assert json.loads(own_options(tmp_path, "--depth", "9", env=given).stdout)[:2] == [9, ["env"]]


def test_help_shows_own_settings(tmp_path: Path) -> None:
    shown = own_options(tmp_path, "--help")
    assert shown.returncode == 0
    assert "--workers" in shown.stdout and "How deep, in %. [3]" in shown.stdout
