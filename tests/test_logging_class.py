"""A logger class of the operator's own writes both logs; it is Gunicorn's class that it derives from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from signal import SIGHUP, SIGUSR1

import pytest
from harness import APPS, Serve, eventually

KINDS = ["sync", "gthread", "asgi"]
"""Worker classes; an ASGI application has its own lines in the same log."""


def start(serve: Serve, kind: str, *options: str, **how):
    """A server for the laboratory, or for its ASGI sibling."""
    if kind == "asgi":
        return serve("asgi_lab", "-k", "asgi", *options, **how)
    return serve("lab", *options, kind=kind, **how)


@pytest.fixture
def conf(write):
    """Write a conf file that defines `CustomLogger` as its logger class."""

    def conf(body: str, more: str = "") -> str:
        head = "from gunicorn import glogging\nimport json, logging, os\n"
        text = f"{head}\nclass CustomLogger(glogging.Logger):\n{body}\n\nlogger_class = CustomLogger\n{more}\n"
        path = write("conf.py", "")
        path.write_text(text)
        return str(path)

    return conf


JSON_LOGGER = """
    def access(self, resp, req, environ, request_time):
        line = {
            "status": resp.status, "code": resp.status_code, "sent": resp.sent, "headers": dict(resp.headers),
            "method": req.method, "uri": req.uri, "path": environ["PATH_INFO"], "host": environ["HTTP_HOST"],
            "asked": dict(req.headers), "took": request_time.total_seconds(), "kind": type(request_time).__name__,
        }
        self.access_log.info(json.dumps(line))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_an_access_method_gets_the_objects_of_every_request(serve: Serve, conf, kind: str) -> None:
    server = start(serve, kind, "-c", conf(JSON_LOGGER), "--access-logfile", "-")
    answer = server.get("/echo/5?a=1", fields=[("X-Lab", "yes"), ("Content-Length", "0")])
    lines = eventually(lambda: [line for line in server.out.splitlines() if "/echo/5" in line])
    line = json.loads(lines[-1])
    assert line["status"] == "200 OK" and line["code"] == 200
    assert line["sent"] == len(answer.body)
    assert {name.lower() for name in line["headers"]} >= {"content-type"}
    assert (line["method"], line["uri"], line["path"]) == ("GET", "/echo/5?a=1", "/echo/5")
    assert line["asked"]["X-LAB"] == "yes" and line["host"] == "test.example"
    assert line["kind"] == "timedelta" and 0 < line["took"] < 30


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_fails_reaches_the_access_method_too(serve: Serve, conf, kind: str) -> None:
    body = """
    def access(self, resp, req, environ, request_time):
        self.access_log.info("%s %s %s", resp.status.split()[0], environ["RAW_URI"], resp.sent)
"""
    server = start(serve, kind, "-c", conf(body), "--access-logfile", "-")
    view = "/error_mid_body" if kind == "asgi" else "/error/here"
    with server.connect() as wire:
        wire.request(view).rest()
    expected = rf"^200 {view} 13$" if kind == "asgi" else rf"^500 {view} [1-9]\d+$"
    eventually(lambda: re.search(expected, server.out, re.M), what=lambda: server.log)
    with server.connect() as wire:
        assert wire.send(b"nonsense\r\n\r\n").reply().status == 400
    eventually(lambda: re.search(r"^400 - [1-9]\d+$", server.out, re.M), what=lambda: server.log)


def test_atoms_can_be_added(serve: Serve, conf, kind: str) -> None:
    body = """
    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        atoms["trace"] = environ.get("HTTP_X_TRACE", "none")
        return atoms
"""
    layout = '%(trace)s %(m)s %(U)s %(q)s %(s)s %(b)s %({x-trace}i)s %({Content-Type}o)s %({path_info}e)s "%(a)s"'
    server = serve("lab", "-c", conf(body), "--access-logfile", "-", "--access-logformat", layout, kind=kind)
    server.get("/block/7?q=1", fields=[("X-Trace", "t1"), ("User-Agent", 'a "b"')])
    expected = r't1 GET /block/7 q=1 200 7 t1 text/plain /block/7 "a \"b\""'
    eventually(lambda: expected in server.out.splitlines(), what=lambda: server.log)


def test_the_atoms_are_the_servers(serve: Serve, conf) -> None:
    """A line that goes through Python is the line that the server would have written."""
    names = [*"hlumUqHsBbfarTp", "{x-lab}i", "{content-type}o", "{REQUEST_METHOD}e", "nonsense", "{none}i"]
    layout = "|".join(f"%({name})s" for name in names)
    lines = []
    for options in ([], ["-c", conf("    def now(self):\n        return super().now()")]):
        server = serve("lab", "-w", "1", "--access-logfile", "-", "--access-logformat", layout, *options)
        fields = [("Authorization", "Basic dXNlcjpwYXNz"), ("X-Lab", 'a"\\b'), ("Referer", "r")]
        server.get("/block/7?q=a%20b", fields=fields)
        lines.append(eventually(lambda server=server: [one for one in server.out.splitlines() if "/block/7" in one])[0])
        assert server.stop() == 0
    assert re.sub(r"<\d+>", "<pid>", lines[0]) == re.sub(r"<\d+>", "<pid>", lines[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_hides_health_checks(serve: Serve, conf, kind: str) -> None:
    """The shape that most published conf files have."""
    body = """
    def setup(self, cfg):
        super().setup(cfg)
        logging.getLogger("gunicorn.access").addFilter(HealthCheckFilter())

class HealthCheckFilter(logging.Filter):
    def filter(self, record):
        return "/health/1" not in record.getMessage()
"""
    server = start(serve, kind, "-c", conf(body), "--access-logfile", "-")
    server.get("/health/1")
    server.get("/health/2")
    eventually(lambda: "GET /health/2 HTTP/1.1" in server.out)
    assert "/health/1" not in server.out


def test_access_without_an_access_log_is_still_called(serve: Serve, conf) -> None:
    body = """
    def access(self, resp, req, environ, request_time):
        self.info("seen %s", req.path)
"""
    server = serve("lab", "-c", conf(body))
    server.get("/pid")
    server.wait_log(r"\[INFO\] seen /pid$")


def test_an_access_method_that_raises_costs_no_answer(serve: Serve, conf, kind: str) -> None:
    body = "    def access(self, *arguments):\n        raise ValueError('broken logger')"
    server = serve("lab", "-c", conf(body), kind=kind)
    assert server.get("/block/5").body == b"xxxxx"
    server.wait_log("ValueError: broken logger")


def test_the_servers_own_lines_go_through_the_class(serve: Serve, conf) -> None:
    body = """
    error_fmt = "MINE %(process)d %(levelname)s %(message)s"

    def info(self, msg, *args, **kwargs):
        super().info("<" + str(msg) + ">", *args, **kwargs)
"""
    server = serve("lab", "-w", "1", "-c", conf(body))
    [worker] = server.wait_workers(1)
    server.get("/error/here")
    server.wait_log("ValueError: here")
    assert server.stop() == 0
    lines = server.err.splitlines()
    assert f"MINE {server.pid} INFO <Handling signal: term>" in lines
    assert f"MINE {worker} INFO <Booting worker with pid: {worker}>" in lines
    assert f"MINE {worker} ERROR Error handling request GET /error/here" in lines
    assert not [line for line in lines if line.startswith("[")]


@pytest.mark.parametrize("given", ["classes.Mine", "egg"])
def test_a_class_is_found_by_name(serve: Serve, write, given: str) -> None:
    write(
        "classes.py",
        """
        from gunicorn.glogging import Logger

        class Mine(Logger):
            error_fmt = "MINE %(message)s"
        """,
    )
    write("mine-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    write("mine-1.dist-info/entry_points.txt", "[gunicorn.loggers]\nmine = classes:Mine\n")
    name = "egg:mine#mine" if given == "egg" else given
    server = serve("lab", "--logger-class", name, "--pythonpath", str(serve.folder))
    server.wait_log("^MINE Listening at")


def test_the_class_is_built_once_and_set_up_at_every_reload(serve: Serve, conf) -> None:
    body = """
    def __init__(self, cfg):
        self.setups = 0
        super().__init__(cfg)
        self.info("built in %s", os.getpid())

    def setup(self, cfg):
        super().setup(cfg)
        self.setups += 1
        self.info("set up %s at %s", self.setups, cfg.loglevel)
"""
    server = serve("lab", "-w", "1", "-c", conf(body))
    old = server.wait_workers(1)
    path = Path(server.command[server.command.index("-c") + 1])
    path.write_text(f"{path.read_text()}\nloglevel = 'debug'\n")
    server.signal(SIGHUP)
    server.wait_replaced(old, 1)
    server.wait_log("set up 2 at debug")
    assert len(re.findall("built in", server.log)) == 1


def test_what_published_classes_use_is_there(serve: Serve, conf) -> None:
    more = """
def when_ready(server):
    log = server.log
    assert isinstance(log, CustomLogger) and isinstance(server.cfg.logger_class, type)
    members = "error_log access_log loglevel cfg error_fmt datefmt access_fmt syslog_fmt error_handlers access_handlers"
    for name in (members + " logfile lock _set_handler _get_gunicorn_handler LOG_LEVELS now close_on_exec").split():
        getattr(log, name)
    constants = "CONFIG_DEFAULTS SYSLOG_FACILITIES SafeAtoms parse_syslog_address loggers".split()
    assert all(hasattr(glogging, name) for name in constants)
    assert glogging.parse_syslog_address("tcp://[::1]:99")[1] == ("::1", 99)
    assert glogging.parse_syslog_address("udp://log.example")[1] == ("log.example", 514)
    assert glogging.parse_syslog_address("unix:///dev/log#dgram")[1] == "/dev/log"
    assert log._get_gunicorn_handler(log.error_log) is log.error_log.handlers[0]
    for level in "debug info warning error critical".split():
        getattr(log, level)("at %s", level)
        log.log(level, "named %s", level)
    try:
        raise KeyError("shown")
    except KeyError:
        log.exception("caught")
    log.close_on_exec()
"""
    server = serve("lab", "-c", conf("    pass", more), "--log-level", "debug")
    server.wait_log("KeyError: 'shown'")
    for level in ("debug", "info", "warning", "error", "critical"):
        assert f"[{level.upper()}] at {level}\n" in server.err
        assert f"[{level.upper()}] named {level}\n" in server.err


def test_a_class_with_files_of_its_own_follows_rotation(serve: Serve, conf, tmp_path: Path) -> None:
    access, error = tmp_path / "access.log", tmp_path / "error.log"
    body = f"""
    def setup(self, cfg):
        super().setup(cfg)
        self._set_handler(self.error_log, {str(error)!r}, logging.Formatter("E %(message)s"))

    def atoms(self, *arguments):
        return super().atoms(*arguments)
"""
    server = serve("lab", "-w", "1", "-c", conf(body), "--access-logfile", str(access))
    server.get("/environ/before")
    eventually(lambda: "/environ/before" in access.read_text())
    access.rename(tmp_path / "access.1")
    error.rename(tmp_path / "error.1")
    server.signal(SIGUSR1)

    def both_write_to_the_new() -> bool:
        server.get("/error/after")
        there = access.exists() and error.exists()
        return there and "/error/after" in access.read_text() and "ValueError: after" in error.read_text()

    eventually(both_write_to_the_new, what=lambda: server.log)
    assert "E Listening at" in (tmp_path / "error.1").read_text()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nowhere.Logger", "No module named 'nowhere'"),
        ("json.Nothing", "Nothing"),
        ("json.dumps", ""),
        ("collections.OrderedDict", "not a logger class"),
    ],
)
@pytest.mark.parametrize("check", [[], ["--check-config"]], ids=["start", "check"])
def test_a_class_that_is_none_is_named(serve: Serve, value: str, reason: str, check: list[str]) -> None:
    refusal = serve.refused("lab", "--logger-class", value, *check)
    assert refusal.code == 1
    assert "logger_class" in refusal.err or value == "json.dumps"
    assert reason in refusal.err


def test_an_application_that_adds_handlers_hears_the_server(serve: Serve, write) -> None:
    """An error tracker that is set up in a hook sees what the server itself says from then on."""
    write(
        "conf.py",
        """
        import logging, sys

        class Tracker(logging.Handler):
            def emit(self, record):
                sys.stdout.write(f"TRACKED {record.name} {record.getMessage()}\\n")
                sys.stdout.flush()

        def post_fork(server, worker):
            logging.getLogger("gunicorn.error").addHandler(Tracker())
        """,
    )
    server = serve("lab", "-w", "1", "-c", str(serve.folder / "conf.py"), "--max-requests", "2")
    server.get("/pid")
    server.get("/pid")
    server.wait_log("^TRACKED gunicorn.error Autorestarting worker after current request.$")
    server.wait_log("^TRACKED gunicorn.error Worker exiting")
    assert "[INFO] Autorestarting" in server.err, "the line is in the log as well"


def test_a_handler_that_the_conf_file_adds_hears_everything(serve: Serve, write) -> None:
    write(
        "conf.py",
        """
        import logging, sys

        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("HEARD %(message)s"))
        logging.getLogger("gunicorn.error").addHandler(handler)
        logging.getLogger("gunicorn.access").addHandler(handler)
        accesslog = "-"
        """,
    )
    server = serve("lab", "-w", "1", "-c", str(serve.folder / "conf.py"))
    server.get("/block/6")
    server.wait_log('^HEARD 127.*"GET /block/6 HTTP/1.1" 200 6 ')
    server.wait_log('^127.*"GET /block/6 HTTP/1.1" 200 6 ')
    assert server.stop() == 0
    heard = [line.removeprefix("HEARD ") for line in server.out.splitlines() if line.startswith("HEARD ")]
    said = [line.split("] ", 3)[3] for line in server.whole_err.splitlines()]
    assert [line for line in heard if "HTTP/1.1" not in line] == said


def test_a_foreign_logger_class_needs_only_the_methods(serve: Serve, write) -> None:
    write(
        "foreign.py",
        """
        import sys

        class Log:
            def __init__(self, cfg):
                self.setup(cfg)

            def setup(self, cfg):
                self.cfg = cfg

            def say(self, msg, *args, **kwargs):
                print("FOREIGN", msg % args if args else msg, file=sys.stderr, flush=True)

            critical = error = warning = info = debug = exception = say

            def access(self, resp, req, environ, request_time):
                self.say("access %s", req.path)

            def reopen_files(self):
                pass
        """,
    )
    server = serve("lab", "--logger-class", "foreign.Log", "--pythonpath", f"{serve.folder},{APPS}")
    server.get("/block/3")
    server.wait_log("^FOREIGN access /block/3$")
    assert "FOREIGN Listening at" in server.err
