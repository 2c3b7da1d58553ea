"""An operator who configures Python's `logging` gets every line of every process there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from signal import SIGHUP, SIGUSR1

import pytest
from harness import Serve, eventually

INI = """
[loggers]
keys=root,gunicorn.error,gunicorn.access

[handlers]
keys=error,access

[formatters]
keys=error,access

[logger_root]
handlers=error

[logger_gunicorn.error]
level={level}
handlers=error
propagate=0
qualname=gunicorn.error

[logger_gunicorn.access]
level=INFO
handlers=access
propagate=0
qualname=gunicorn.access

[handler_error]
class=StreamHandler
formatter=error
args=(sys.stderr,)

[handler_access]
class=FileHandler
formatter=access
args=(%(here)r + '/access.log',)

[formatter_error]
format=INI %(process)d %(levelname)s %(message)s

[formatter_access]
format=ACCESS %(message)s
"""


def dictionary(mark: str, level: str = "INFO") -> dict:
    """A configuration whose lines begin with `mark`."""
    return {
        "loggers": {
            "gunicorn.error": {"level": level, "handlers": ["error_console"], "propagate": False},
            "gunicorn.access": {"level": "INFO", "handlers": ["console"], "propagate": False},
        },
        "formatters": {"generic": {"format": f"{mark} %(process)d %(name)s %(levelname)s %(message)s"}},
    }


def conf(folder: Path, text: str) -> str:
    path = folder / "conf.py"
    path.write_text(text)
    return str(path)


def test_a_file_configures_both_logs(serve: Serve) -> None:
    (serve.folder / "log.ini").write_text(INI.format(level="INFO").replace("%(here)r", repr(str(serve.folder))))
    server = serve("lab", "-w", "1", "--log-config", str(serve.folder / "log.ini"))
    [worker] = server.wait_workers(1)
    server.get("/block/4")
    access = serve.folder / "access.log"
    eventually(lambda: re.search(r'^ACCESS 127\.0\.0\.1 .*"GET /block/4 HTTP/1.1" 200 4 ', access.read_text(), re.M))
    assert server.stop() == 0
    lines = server.err.splitlines()
    assert f"INI {server.pid} INFO Starting oxicorn 0.1.0" in lines, "the arbiter's first line as well"
    assert f"INI {worker} INFO Booting worker with pid: {worker}" in lines
    assert f"INI {server.pid} INFO Shutting down: Master" in lines
    assert all(line.startswith("INI ") for line in lines), server.err


def test_a_json_file_is_filled_up_with_the_defaults(serve: Serve, kind: str) -> None:
    (serve.folder / "log.json").write_text(json.dumps(dictionary("JSON")))
    server = serve("lab", "--log-config-json", str(serve.folder / "log.json"), kind=kind)
    server.get("/block/4")
    server.get("/error/here")
    server.wait_log(r'^JSON \d+ gunicorn.access INFO 127\.0\.0\.1 .*"GET /block/4 HTTP/1.1" 200 4 ')
    server.wait_log(r"^JSON \d+ gunicorn.error ERROR Error handling request GET /error/here\nTraceback")
    assert "Listening at" in server.err and "GET /block" not in server.err


def test_a_dictionary_may_hold_what_only_python_has(serve: Serve) -> None:
    text = """
import logging, sys

class Quiet(logging.Filter):
    def filter(self, record):
        return "/block/1" not in record.getMessage()

class Upper(logging.Formatter):
    def format(self, record):
        return super().format(record).upper()

logconfig_dict = {
    "filters": {"quiet": {"()": Quiet}},
    "formatters": {"generic": {"()": Upper, "fmt": "dict %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": sys.stdout}},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["console"]},
        "gunicorn.access": {"level": "INFO", "handlers": ["console"], "propagate": False, "filters": ["quiet"]},
    },
}
"""
    server = serve("lab", "-c", conf(serve.folder, text))
    server.get("/block/1")
    server.get("/block/2")
    server.wait_log("^DICT 127.*GET /BLOCK/2")
    assert "DICT LISTENING AT" in server.out
    assert "/BLOCK/1" not in server.out


def test_the_dictionary_is_stronger_than_json_and_json_than_the_file(serve: Serve) -> None:
    ini, name = serve.folder / "log.ini", serve.folder / "log.json"
    ini.write_text(INI.format(level="INFO").replace("%(here)r", repr(str(serve.folder))))
    name.write_text(json.dumps(dictionary("JSON")))
    files = f"logconfig = {str(ini)!r}\nlogconfig_json = {str(name)!r}\n"
    server = serve("lab", "-c", conf(serve.folder, files))
    server.wait_log(r"^JSON \d+ gunicorn.error INFO Listening at")
    server = serve("lab", "-c", conf(serve.folder, f"{files}logconfig_dict = {dictionary('DICT')!r}\n"))
    server.wait_log(r"^DICT \d+ gunicorn.error INFO Listening at")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("logconfig = 'missing.ini'", "logconfig: missing.ini: it cannot be read: No such file or directory"),
        ("logconfig = 'empty.ini'", "logconfig: empty.ini: "),
        ("logconfig_json = 'missing.json'", "logconfig_json: missing.json: it cannot be read: No such file"),
        ("logconfig_json = 'broken.json'", "logconfig_json: broken.json: Expecting value: line 1 column 7"),
        ("logconfig_dict = {'handlers': {'console': {'class': 'no.Such'}}}", "logconfig_dict: Unable to configure"),
        ("logconfig_dict = {'version': 7}", "logconfig_dict: Unsupported version: 7"),
        ("accesslog = '-'; access_log_format = '%(h)'", "access_log_format: '%(h)': incomplete format"),
        ("accesslog = '/nowhere/at/all'", "accesslog: /nowhere/at/all cannot be opened: No such file or directory"),
        ("errorlog = '/nowhere/at/all'", "errorlog: '/nowhere/at/all' cannot be used: no such directory: /nowhere/at"),
        ("syslog = True; syslog_facility = 'local9'", "syslog_facility: 'local9' is not valid: expected one of kern,"),
        ("syslog = True; syslog_addr = 'log.example:1'", "syslog_addr: 'log.example:1': invalid syslog address"),
        ("syslog = True; syslog_addr = 'udp://localhost:x'", "syslog_addr: 'udp://localhost:x': 'x' is not a valid"),
    ],
)
def test_what_cannot_work_is_told_with_its_name(serve: Serve, write, text: str, expected: str) -> None:
    write("empty.ini", "")
    write("broken.json", '{"a": x}')
    path = conf(serve.folder, text)
    refusal = serve.refused("lab", "-c", path, "--pythonpath", str(serve.folder), cwd=serve.folder)
    assert refusal.code == 1
    assert f"error: {expected}" in refusal.err and "Traceback" not in refusal.err
    if "errorlog" in text or "accesslog" in text:
        return  # A check makes no files.
    checked = serve.refused("json:dumps", "-c", path, "--check-config", cwd=serve.folder)
    assert checked.code == 1 and f"error: {expected}" in checked.err


def test_a_reload_configures_anew(serve: Serve) -> None:
    path = conf(serve.folder, f"logconfig_dict = {dictionary('FIRST')!r}")
    server = serve("lab", "-w", "1", "-c", path)
    old = server.wait_workers(1)
    conf(serve.folder, f"logconfig_dict = {dictionary('SECOND', 'DEBUG')!r}")
    old = server.signal(SIGHUP).wait_replaced(old, 1)
    server.wait_log(rf"^SECOND {old[0]} gunicorn.error INFO Booting worker")
    # Without a configuration the lines are the server's own again.
    conf(serve.folder, "accesslog = '-'")
    old = server.signal(SIGHUP).wait_replaced(old, 1)
    server.get("/block/9")
    server.wait_log(r'^127\.0\.0\.1 - - .*"GET /block/9 HTTP/1.1" 200 9 ')
    server.wait_log(rf"^\[.*\] \[{old[0]}\] \[INFO\] Booting worker")


def test_a_reload_that_cannot_configure_leaves_all_as_it_was(serve: Serve) -> None:
    path = conf(serve.folder, f"logconfig_dict = {dictionary('FIRST')!r}")
    server = serve("lab", "-w", "1", "-c", path)
    workers = server.wait_workers(1)
    conf(serve.folder, "logconfig_dict = {'version': 7}")
    server.signal(SIGHUP)
    server.wait_log(r"^FIRST \d+ gunicorn.error ERROR .*logconfig_dict: Unsupported version: 7")
    server.get("/block/9")
    server.wait_log(r"^FIRST \d+ gunicorn.access INFO .*GET /block/9")
    assert server.workers() == workers


def test_a_reload_changes_the_level(serve: Serve) -> None:
    path = conf(serve.folder, "loglevel = 'warning'")
    server = serve("lab", "-w", "1", "-c", path)
    old = server.wait_workers(1)
    assert server.log == ""
    conf(serve.folder, "loglevel = 'debug'")
    [worker] = server.signal(SIGHUP).wait_replaced(old, 1)
    server.wait_log(rf"\[{worker}\] \[INFO\] Booting worker")
    server.wait_log(rf"\[{server.pid}\] \[DEBUG\] ")


def test_files_of_handlers_are_opened_anew(serve: Serve) -> None:
    config = dictionary("X")
    for name in ("console", "error_console"):
        config.setdefault("handlers", {})[name] = {
            "class": "logging.FileHandler",
            "formatter": "generic",
            "filename": str(serve.folder / f"{name}.log"),
        }
    server = serve("lab", "-w", "2", "-c", conf(serve.folder, f"logconfig_dict = {config!r}"))
    server.wait_workers(2)
    files = [serve.folder / "console.log", serve.folder / "error_console.log"]
    server.get("/block/1")
    eventually(lambda: "/block/1" in files[0].read_text())
    for path in files:
        path.rename(path.with_suffix(".1"))
    server.signal(SIGUSR1)

    def both_write_to_the_new() -> bool:
        server.get("/error/after")
        return all(path.exists() and "/error/after" in path.read_text() for path in files)

    eventually(both_write_to_the_new, what=lambda: server.log)


def test_an_application_that_configures_logging_is_followed(serve: Serve, write) -> None:
    """Django's LOGGING is a dictConfig while the application is imported."""
    write(
        "configures.py",
        f"""
        import logging.config
        from gunicorn.glogging import CONFIG_DEFAULTS
        from lab import application

        logging.config.dictConfig({{**CONFIG_DEFAULTS, **{dictionary("APP")!r}}})
        """,
    )
    apps = Path(__file__).parent / "apps"
    options = ("--access-logfile", "-", "--pythonpath", str(apps))
    server = serve("configures", "-w", "1", *options, cwd=serve.folder)
    server.get("/block/3")
    server.wait_log(r"^APP \d+ gunicorn.access INFO 127.*/block/3")
    assert server.stop() == 0
    assert re.search(r"^APP \d+ gunicorn.error INFO Worker exiting", server.log, re.M)


def test_the_servers_lines_of_the_reactor_come_through(serve: Serve, kind: str) -> None:
    """They are logged without the GIL and under locks; a thread that has neither passes them on, idle or not."""
    server = serve("lab", "-c", conf(serve.folder, f"logconfig_dict = {dictionary('X', 'DEBUG')!r}"), kind=kind)
    with server.connect() as wire:
        assert wire.send(b"nonsense\r\n\r\n").reply().status == 400
    server.wait_log(r"^X \d+ gunicorn.error DEBUG a request was refused with 400: ")
    server.wait_log(r'^X \d+ gunicorn.access INFO 127\.0\.0\.1 - - .*" 400 ')
