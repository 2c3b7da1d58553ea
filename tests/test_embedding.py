"""Programs written for Gunicorn's `BaseApplication` configure and run Oxicorn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR2

import pytest
from harness import Serve, Server, eventually, processes
from harness.server import run

RECIPE = """
import os
import sys
import gunicorn.app.base

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]

def when_ready(server):
    server.log.info("%s serves %s", type(server.app).__name__, server.cfg.bind)

class Standalone(gunicorn.app.base.BaseApplication):
    def __init__(self, app, options=None):
        self.options = options or {}
        self.application = app
        super().__init__()

    def load_config(self):
        for key, value in self.options.items():
            if key in self.cfg.settings and value is not None:
                self.cfg.set(key.lower(), value)

    def load(self):
        return self.application

if __name__ == "__main__":
    options = {"bind": sys.argv[1], "workers": 2, "when_ready": when_ready, "log_level": "ignored", "user": None}
    Standalone(application, options).run()
"""

COMPAT = ("-m", "oxicorn.compat")


@pytest.fixture
def embed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Server]:
    """Start a script as a server; the harness's words for the command are those for the script."""

    def embed(text: str, *arguments: str, module: tuple[str, ...] = COMPAT, bind: str | None = None) -> Server:
        script = serve.folder / "program.py"
        script.write_text(text)
        named = module if "program" in module else (*module, str(script))
        words = " ".join([sys.executable, *named])
        monkeypatch.setenv("OXICORN_TEST_SERVER", words)
        return serve(None, *arguments, cwd=serve.folder, bind=bind, ready=False)

    return embed


def _address(server: Server, port: int) -> Server:
    server.address = ("127.0.0.1", port)
    return server.wait_ready()


def _port() -> int:
    from harness.server import free_port

    return free_port()


def test_the_recipe_of_the_manual(embed) -> None:
    port = _port()
    server = _address(embed(RECIPE, f"127.0.0.1:{port}"), port)
    assert int(server.get().text) in server.wait_workers(2)
    server.wait_log(rf"Standalone serves \['127.0.0.1:{port}'\]")
    assert server.stop() == 0


def test_it_needs_no_other_name_than_oxicorns(embed) -> None:
    port = _port()
    script = RECIPE.replace("gunicorn.app.base", "oxicorn.app.base")
    server = _address(embed(script, f"127.0.0.1:{port}", module=()), port)
    assert server.get().status == 200
    assert server.stop() == 0


def test_a_reload_reads_the_settings_of_the_program_again(embed, serve: Serve) -> None:
    port = _port()
    number = serve.folder / "number"
    number.write_text("1")
    script = RECIPE.replace('"workers": 2', '"workers": None').replace(
        "    def load(self):", "        self.cfg.set('workers', open('number').read())\n\n    def load(self):"
    )
    server = _address(embed(script, f"127.0.0.1:{port}"), port)
    old = server.wait_workers(1)
    number.write_text("2")
    server.signal(SIGHUP)
    old = server.wait_replaced(old, 2)
    number.write_text("many")
    server.signal(SIGHUP)
    server.wait_log("many")
    assert server.get().status == 200
    assert server.workers() == old
    assert server.stop() == 0


def test_an_application_that_does_not_load_is_a_boot_failure(embed) -> None:
    script = RECIPE.replace("        return self.application", "        raise RuntimeError('not today')")
    server = embed(script, f"127.0.0.1:{_port()}")
    assert server.wait_exit() == 3
    assert "not today" in server.log


def test_a_wrong_setting_ends_the_program_with_what_is_wrong(embed) -> None:
    server = embed(RECIPE.replace('"workers": 2', '"workers": "two"'), f"127.0.0.1:{_port()}")
    assert server.wait_exit() == 1
    assert "workers" in server.log
    assert "two" in server.log
    assert "Traceback" not in server.log


WITH_A_WORKER = """
import sys
from gunicorn.app.base import Application
from gunicorn.workers.sync import SyncWorker

class Service:
    started = None

    def start(self):
        self.started = True

    def stop(self, sig):
        print("service stopped by", int(sig), flush=True)

    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return [str(self.started).encode()]

class CustomWorker(SyncWorker):
    def handle_quit(self, sig, frame):
        self.app.application.stop(sig)
        super(CustomWorker, self).handle_quit(sig, frame)

    def run(self):
        self.app.application.start()
        super(CustomWorker, self).run()

class Program(Application):
    def __init__(self, app):
        self.application = app
        super().__init__()

    def load_config(self):
        self.load_config_from_file("settings.py")
        self.cfg.set("worker_class", CustomWorker)

    def load(self):
        return self.application

if __name__ == "__main__":
    Program(Service()).run()
"""


def test_a_program_with_a_worker_class_and_a_file_of_settings(embed, serve: Serve) -> None:
    port = _port()
    (serve.folder / "settings.py").write_text(
        f"bind = '127.0.0.1:{port}'\nlogger = __name__\ndef when_ready(server):\n    server.log.info(logger)\n"
    )
    server = _address(embed(WITH_A_WORKER), port)
    assert server.get().text == "True"
    server.wait_log("__config__")
    assert server.stop(SIGINT) == 0
    assert f"service stopped by {int(SIGQUIT)}" in server.log or f"service stopped by {int(SIGINT)}" in server.log


def test_a_module_is_a_program_too(embed, serve: Serve) -> None:
    port = _port()
    server = embed(RECIPE, f"127.0.0.1:{port}", module=(*COMPAT, "-m", "program"))
    assert _address(server, port).get().status == 200
    assert server.stop() == 0


ARBITER = """
from gunicorn.arbiter import Arbiter


class Ours(Arbiter):
    def __init__(self, app):
        super().__init__(app)
        print("ours", self.WORKER_BOOT_ERROR, flush=True)
"""


EXTENDED = RECIPE.replace("Standalone(application, options).run()", "Ours(Standalone(application, options)).run()")


def test_a_program_may_extend_the_arbiter(embed) -> None:
    port = _port()
    server = _address(embed(ARBITER + EXTENDED, f"127.0.0.1:{port}"), port)
    assert server.get().status == 200
    server.wait_log("ours 3")
    assert server.stop() == 0


def test_an_arbiter_whose_methods_would_not_be_called_is_refused(embed) -> None:
    script = ARBITER + "    def handle_hup(self):\n        self.stop()\n" + EXTENDED
    server = embed(script, f"127.0.0.1:{_port()}")
    assert server.wait_exit() == 1
    assert "RuntimeError: Ours overrides handle_hup, which Oxicorn does not call" in server.log


def test_an_upgrade_starts_the_program_again(embed, serve: Serve) -> None:
    port, pidfile = _port(), serve.folder / "pid"
    script = RECIPE.replace('"workers": 2', f'"workers": 1, "pidfile": "{pidfile}"')
    server = _address(embed(script, f"127.0.0.1:{port}"), port)
    server.signal(SIGUSR2)
    second = serve.folder / "pid.2"
    new = int(eventually(lambda: second.exists() and second.read_text().strip(), within=20))
    os.kill(new, SIGTERM)
    eventually(lambda: not processes.alive(new), within=15)
    assert server.get().status == 200


COMMAND = """
from gunicorn.app.wsgiapp import WSGIApplication

class Command(WSGIApplication):
    def init(self, parser, opts, args):
        super().init(parser, opts, args)
        return {"workers": 3, "threads": 2}

    def load(self):
        application = super().load()
        print("loaded", self.app_uri, self.cfg.workers, self.cfg.threads, flush=True)
        return application

Command("%(prog)s [OPTIONS] [APP_MODULE]").run()
"""


def test_a_program_of_its_own_command_line(embed, serve: Serve) -> None:
    (serve.folder / "shop.py").write_text(
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'shop']\n"
    )
    server = embed(COMMAND, "shop", "--workers", "1", bind="127.0.0.1").wait_ready()
    assert server.get().text == "shop"
    server.wait_log("loaded shop 1 2")
    assert server.stop() == 0


def test_a_program_without_an_application_says_so(embed) -> None:
    server = embed(COMMAND, "--workers", "1")
    assert server.wait_exit() == 1
    assert "No application module specified." in server.log


def test_run_is_the_command(embed, serve: Serve) -> None:
    (serve.folder / "shop.py").write_text(
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'shop']\n"
    )
    script = "import sys\nfrom gunicorn.app.wsgiapp import run\nsys.argv.append('shop')\nrun()\n"
    server = embed(script, bind="127.0.0.1").wait_ready()
    assert server.get().text == "shop"
    assert server.stop() == 0


NAMES = """
import gunicorn
from gunicorn import SERVER_SOFTWARE, config, util, version_info
from gunicorn.app.base import Application, BaseApplication
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import KNOWN_SETTINGS, Config, get_default_config_file, make_settings
from gunicorn.errors import AppImportError, ConfigError, HaltServer
from gunicorn.glogging import CONFIG_DEFAULTS, Logger, SafeAtoms
from gunicorn.http import Request
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.message import Request as Message
from gunicorn.http.wsgi import Response
from gunicorn.instrument.statsd import Statsd
from gunicorn.util import getcwd, http_date, import_app, is_ipv6, parse_address
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.sync import SyncWorker
import oxicorn.workers.base

assert Message is Request and issubclass(ThreadWorker, Worker) and issubclass(Statsd, Logger)
assert Worker is oxicorn.workers.base.Worker, "one class under two names"
assert version_info >= (20, 1)
assert parse_address("unix:/tmp/x.sock") == "/tmp/x.sock"
assert parse_address("[::1]:80") == ("::1", 80) and parse_address("LOCALHOST") == ("localhost", 8000)
assert is_ipv6("::1") and not is_ipv6("127.0.0.1") and http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"
assert {setting.name for setting in KNOWN_SETTINGS} == set(Config().settings) >= {"bind", "post_fork"}
args = Config(prog="x").parser().parse_args(["-w", "3", "shop:app", "--timeout=9"])
assert (args.workers, args.timeout, args.args, args.bind) == (3, 9, ["shop:app"], None)
cfg = Config()
cfg.set("workers", "7")
assert cfg.workers == 7 and cfg.settings["workers"].get() == 7 and cfg.post_fork(None, None) is None
assert cfg.address == [("127.0.0.1", 8000)] and isinstance(cfg.uid, int) and not cfg.is_ssl
for wrong in [("workers", "many"), ("no_such_setting", 1)]:
    try:
        cfg.set(*wrong)
    except (ValueError, AttributeError) as error:
        assert wrong[0] in str(error)
    else:
        raise AssertionError(wrong)
print("all there")
"""


def test_the_names_that_programs_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "names.py").write_text(NAMES)
    monkeypatch.setenv("OXICORN_TEST_SERVER", " ".join([sys.executable, *COMPAT, "names.py"]))
    answer = run(cwd=tmp_path)
    assert (answer.code, answer.text) == (0, "all there\n")
