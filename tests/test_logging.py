"""The lines of the log are Gunicorn's, so that what reads Gunicorn's log reads this one."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from signal import SIGHUP, SIGUSR1

import pytest
from harness import APPS, NAME, Serve, Server, better, eventually, parity, processes
from harness.wire import head

LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\] .")
DATE = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"


@parity
def test_every_line_has_gunicorns_form(serve: Serve) -> None:
    server = serve("lab", "-w", "2")
    old = server.wait_workers(2)
    server.signal(SIGHUP)
    server.wait_replaced(old, 2)
    assert server.stop() == 0
    assert server.out == ""
    for line in server.err.splitlines():
        assert LINE.match(line), line


@parity
def test_the_lines_of_a_life(serve: Serve) -> None:
    server = serve("lab", "-w", "1", "-k", "sync")
    [worker] = server.wait_workers(1)
    assert server.stop() == 0
    host, port = server.address
    said = [re.sub(r"^\[.*?\] ", "", line) for line in server.err.splitlines()]
    # The one line that Gunicorn does not have.
    said = [line for line in said if not re.search(r"\[INFO\] Ready: 1 sync worker serves after ", line)]
    expected = [
        rf"\[{server.pid}\] \[INFO\] Starting {NAME} \d+\.\d+\.\d+",
        rf"\[{server.pid}\] \[INFO\] Listening at: http://{host}:{port} \({server.pid}\)",
        rf"\[{server.pid}\] \[INFO\] Using worker: sync",
        rf"\[{worker}\] \[INFO\] Booting worker with pid: {worker}",
        rf"\[{server.pid}\] \[INFO\] Handling signal: term",
        rf"\[{worker}\] \[INFO\] Worker exiting \(pid: {worker}\)",
        rf"\[{server.pid}\] \[INFO\] Shutting down: Master",
    ]
    assert len(said) == len(expected), server.err
    for line, pattern in zip(said, expected, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)


@parity
@pytest.mark.parametrize(
    ("level", "info", "error"),
    [("debug", True, True), ("INFO", True, True), ("error", False, True), ("critical", 0, 0)],
)
def test_levels(serve: Serve, level: str, info: bool, error: bool) -> None:
    server = serve("lab", "--log-level", level)
    server.get("/error/here")
    assert server.stop() == 0
    assert ("[INFO] Listening at" in server.log) == bool(info)
    assert ("ValueError: here" in server.log) == bool(error)


@pytest.fixture
def access(serve: Serve, kind: str):
    """A server that writes its access log to stdout, and its next line."""

    def start(*options: str, app: str = "lab") -> Server:
        return serve(app, "--access-logfile", "-", *options, kind=kind)

    return start


def last_line(server: Server, mark: str) -> str:
    """The line of the access log that contains `mark`."""
    return eventually(
        lambda: [line for line in server.out.splitlines() if mark in line],
        what=lambda: f"{mark!r} in the access log: {server.out}",
    )[-1]


@parity
def test_the_access_log_is_off_by_default(serve: Serve) -> None:
    server = serve("lab")
    server.get("/pid")
    assert server.stop() == 0
    assert "/pid" not in server.log


@parity
def test_the_default_format(access) -> None:
    server = access()
    fields = [("Referer", "http://from.example/"), ("User-Agent", "lab/1.0")]
    server.get("/block/123?q=1", fields=fields)
    line = last_line(server, "/block/123")
    assert re.fullmatch(
        rf'127\.0\.0\.1 - - {DATE} "GET /block/123\?q=1 HTTP/1\.1" 200 123 '
        r'"http://from\.example/" "lab/1\.0"',
        line,
    ), line


@parity
def test_the_user_of_basic_authentication(access) -> None:
    server = access()
    credentials = base64.b64encode(b"ada:secret").decode()
    server.get("/pid", fields=[("Authorization", f"Basic {credentials}")])
    assert last_line(server, "/pid").startswith("127.0.0.1 - ada [")


ATOMS = {
    "h": r"127\.0\.0\.1",
    "l": "-",
    "u": "-",
    "t": DATE,
    "r": r"GET /block/7\?q=a%20b HTTP/1\.1",
    "m": "GET",
    "U": "/block/7",
    "q": "q=a%20b",
    "H": r"HTTP/1\.1",
    "s": "200",
    "B": "7",
    "b": "7",
    "f": "-",
    "a": "lab/1.0",
    "T": r"\d",
    "D": r"\d+",
    "M": r"\d+",
    "L": r"\d\.\d{6}",
    "p": r"<\d+>",
    "{x-lab}i": "sent",
    "{X-Lab}i": "sent",
    "{content-type}o": "text/plain",
    "{REQUEST_METHOD}e": "GET",
    "{http_x_lab}e": "sent",
    "{wsgi.multiprocess}e": "False",
    "{missing}e": "-",
    "{missing}i": "-",
    "{missing}o": "-",
}


@parity
def test_every_atom(access) -> None:
    layout = "|".join(f"%({atom})s" for atom in ATOMS)
    server = access("--access-logformat", f"LINE|{layout}|END %%")
    server.get("/block/7?q=a%20b", fields=[("User-Agent", "lab/1.0"), ("X-Lab", "sent")])
    line = last_line(server, "/block/7")
    values = line.split("|")
    assert (values[0], values[-1]) == ("LINE", "END %")
    for (atom, pattern), value in zip(ATOMS.items(), values[1:-1], strict=True):
        assert re.fullmatch(pattern, value), (atom, value, line)


def test_variables_are_shown_as_the_application_left_them(serve: Serve, write, kind: str) -> None:
    write(
        "notes.py",
        """
        def application(environ, start_response):
            name = environ["PATH_INFO"].strip("/")
            environ["shop.user"] = name
            start_response("200 OK", [("Content-Type", "text/plain")])

            def body():
                yield b"first"
                environ["shop.rows"] = 7
                if name == "fails":
                    raise ValueError(name)
                yield b"second"

            if name == "list":
                environ["shop.rows"] = "none\\n"
                return [b"whole"]
            return body()
        """,
    )
    options = ("--access-logfile", "-", "--access-logformat", "%(U)s|%({shop.user}e)s|%({SHOP.Rows}e)s|%(B)s")
    server = serve("notes", *options, kind=kind, cwd=serve.folder)
    with server.connect() as wire:
        wire.get("/generated")
        wire.get("/list")
        wire.request("/fails").rest_or_reset()
    eventually(lambda: "/fails" in server.out)
    lines = [line for line in server.out.splitlines() if not line.startswith("/|")]
    assert lines == ["/generated|generated|7|11", "/list|list|none\\x0a|5", "/fails|fails|7|5"]


def test_variables_of_an_asgi_request(serve: Serve) -> None:
    layout = "%({REQUEST_METHOD}e)s|%({raw_uri}e)s|%({HTTP_X_LAB}e)s|%({wsgi.version}e)s"
    server = serve("asgi_lab", "-k", "asgi", "--access-logfile", "-", "--access-logformat", layout)
    server.get("/hello?a=1", fields=[("X-Lab", "yes")])
    eventually(lambda: "GET|/hello?a=1|yes|-" in server.out.splitlines(), what=lambda: server.log)


def test_an_atom_that_does_not_exist_is_warned_about(serve: Serve) -> None:
    server = serve("lab", "--access-logfile", "-", "--access-logformat", "%(h)s %(nonsense)s %({a}x)s %(U)s")
    server.get("/block/2")
    last_line(server, "127.0.0.1 - - /block/2")
    for atom in ("nonsense", "{a}x"):
        assert f"[WARNING] access_log_format: there is no atom %({atom})s; it is shown as -\n" in server.err


def test_the_notation_of_python_is_understood(access) -> None:
    server = access("--access-logformat", "%(U)-12s|%(B)05d|%(m).2s")
    server.get("/block/7")
    last_line(server, "/block/7    |00007|GE")


def test_quotes_are_escaped(access) -> None:
    server = access()
    server.get("/pid", fields=[("User-Agent", 'a "quoted" \\ one')])
    assert '"a \\"quoted\\" ' in last_line(server, "/pid")


@parity("gthread")
def test_what_was_sent_is_counted(access) -> None:
    server = access("--access-logformat", "%(m)s %(U)s %(s)s %(B)s")
    with server.connect() as wire:
        wire.get("/pieces/200000")
        wire.request("/block/500", method="HEAD").reply(to="HEAD")
        wire.get("/nowhere")
    assert last_line(server, "/pieces") == "GET /pieces/200000 200 200000"
    assert last_line(server, "HEAD") == "HEAD /block/500 200 0"
    assert last_line(server, "/nowhere") == "GET /nowhere 404 12"


@parity
def test_the_duration_is_the_whole_one(serve: Serve, access) -> None:
    """Also of a request that fails: Gunicorn logs how long its error page took."""
    server = access("--access-logformat", "%(U)s %(s)s %(M)s", app="lab")
    with server.connect() as wire:
        wire.request("/gate/timed")
        serve.gates.wait_entered("timed")
        first = time.monotonic()
        eventually(lambda: time.monotonic() - first > 0.4)
        serve.gates.open("timed")
        wire.reply()
    assert int(last_line(server, "/gate/timed").split()[-1]) >= 400


@better
def test_a_failed_request_is_logged_with_what_is_known(access) -> None:
    server = access()
    server.get("/error/here", fields=[("User-Agent", "lab/1.0")])
    line = last_line(server, "/error")
    assert re.search(r'"GET /error/here HTTP/1\.1" 500 [1-9]\d* "-" "lab/1\.0"$', line), line


def test_a_request_that_cannot_be_read_has_a_line(access) -> None:
    server = access()
    with server.connect() as wire:
        assert wire.send(b"nonsense\r\n\r\n").reply().status == 400
    assert " 400 " in last_line(server, '" 400 ')


STAGES = "%(m)s %(U)s %(s)s %(B)s %(M)s"


@better
def test_a_request_that_does_not_arrive_in_time_has_a_line(serve: Serve) -> None:
    """With what is known of it, and as long as it was waited for."""
    options = ("--header-timeout", "1", "--body-timeout", "1", "--access-logfile", "-")
    server = serve("lab", *options, "--access-logformat", STAGES)
    with server.connect() as head_only, server.connect() as body_missing:
        head_only.send(b"GET /head HTTP/1.1\r\nHost:")
        body_missing.send(head("/echo/body", method="POST", body=b"x" * 100) + b"x")
        assert head_only.reply().status == 408
        assert body_missing.reply().status == 408
    for start in ("- - 408", "POST /echo/body 408"):
        assert 900 < int(last_line(server, start).split()[-1]) < 5000


@pytest.mark.parametrize("gone", ["closed", "reset"])
def test_a_client_that_leaves_within_its_request_has_a_line(access, gone: str) -> None:
    """400, nginx's number for it: nothing was answered."""
    server = access("--access-logformat", STAGES)
    for sent in (b"GET /hea", head("/echo/body", method="POST", body=b"x" * 100) + b"x"):
        with server.connect() as wire:
            wire.send(sent)
            if gone == "reset":
                wire.reset()
    for expected in ("- - 400 0 ", "POST /echo/body 400 0 "):
        last_line(server, expected)


def test_a_request_that_comes_together_with_a_reset_has_a_line(access) -> None:
    """What was sent before the connection broke is read first, also by a worker that hears of both at once."""
    server = access("--access-logformat", STAGES)
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        server.get("/pid")  # The worker has accepted that connection by now: it takes them in their order.
        with processes.stopped(worker):
            wire.send(head("/echo/body", method="POST", body=b"x" * 100) + b"x").reset()
    last_line(server, "POST /echo/body 400 0 ")


def test_a_request_whose_client_reset_before_it_was_accepted_has_a_line(access) -> None:
    """Begun or complete: the worker reads it, and serves neither."""
    server = access("--access-logformat", STAGES)
    [worker] = server.wait_workers(1)
    server.get("/pid")
    with processes.stopped(worker):
        for sent in (head("/echo/body", method="POST", body=b"x" * 100) + b"x", head("/whole")):
            with server.connect() as wire:
                wire.send(sent).reset()
    last_line(server, "POST /echo/body 400 0 ")
    last_line(server, "GET /whole 499 0 ")


def test_a_refused_request_is_named_in_its_line(serve: Serve) -> None:
    server = serve("lab", "--limit-request-body", "10", "--access-logfile", "-", "--access-logformat", STAGES)
    assert server.post("/echo/much", b"x" * 100).status == 413
    last_line(server, "POST /echo/much 413")
    fields = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "off")]
    assert server.get("/disagree", fields=fields).status == 400
    last_line(server, "GET /disagree 400")


@parity
def test_a_view_that_fails_late_has_a_line(access) -> None:
    server = access("--access-logformat", "%(m)s %(U)s %(s)s")
    with server.connect() as wire:
        wire.request("/late/12")
        wire.rest_or_reset()
    last_line(server, "GET /late/12 200")


@parity
def test_an_empty_body_has_0_bytes(access) -> None:
    server = access("--access-logformat", "%(U)s b=%(b)s B=%(B)s")
    server.post("/echo/nothing", b"")
    assert last_line(server, "/echo/nothing") == "/echo/nothing b=0 B=0"


@better
@pytest.mark.parametrize("view", ["gate", "stubborn"])
def test_a_request_that_timed_out_has_its_whole_duration(serve: Serve, view: str) -> None:
    """Also where the view cannot be interrupted, and the worker is killed."""
    server = serve("lab", "--timeout", "1", "--access-logfile", "-", "--access-logformat", STAGES, kind="sync")
    with server.connect() as wire:
        wire.request(f"/{view}/hung")
        wire.rest_or_reset()
    assert int(last_line(server, f"/{view}/hung").split()[-1]) >= 900


@parity("gthread")
def test_every_request_has_a_line(access) -> None:
    server = access("--access-logformat", "%(U)s")
    with server.connect() as wire:
        wire.send(b"".join(head(f"/environ/{number}") for number in range(100)))
        for _ in range(100):
            wire.reply()
    last_line(server, "/environ/99")
    assert server.stop() == 0
    lines = [line for line in server.out.splitlines() if line.startswith("/environ/")]
    assert lines == [f"/environ/{number}" for number in range(100)]


@better
def test_newlines_cannot_forge_a_line(access) -> None:
    server = access()
    server.get("/x%0aforged%0dline")
    assert last_line(server, "forged").startswith("127.0.0.1 - - [")
    server2 = access("--access-logformat", "START %(U)s END")
    server2.get("/x%0aforged")
    eventually(lambda: "forged" in server2.out)
    assert all(line.startswith("START") for line in server2.out.splitlines())


@parity
def test_log_files(serve: Serve, kind: str, tmp_path: Path) -> None:
    error, access = tmp_path / "error.log", tmp_path / "access.log"
    server = serve("lab", "--error-logfile", str(error), "--access-logfile", str(access), kind=kind)
    server.get("/error/here")
    eventually(lambda: "/error/here" in access.read_text())
    assert server.stop() == 0
    assert "ValueError: here" in error.read_text()
    assert f"Starting {NAME}" in error.read_text()
    assert server.log == ""


@parity("sync")
def test_usr1_reopens_the_files(serve: Serve, kind: str, tmp_path: Path) -> None:
    """As logrotate does it: the file is moved away, then the signal."""
    error, access = tmp_path / "error.log", tmp_path / "access.log"
    server = serve("lab", "-w", "2", "--log-file", str(error), "--access-logfile", str(access), kind=kind)
    server.wait_workers(2)
    server.get("/environ/before")
    eventually(lambda: "/environ/before" in access.read_text())
    error.rename(tmp_path / "error.1")
    access.rename(tmp_path / "access.1")
    server.signal(SIGUSR1)
    eventually(lambda: error.exists() and access.exists())

    def both_write_to_the_new() -> bool:
        server.get("/environ/after")
        server.get("/error/after")
        return "/environ/after" in access.read_text() and "ValueError" in error.read_text()

    eventually(both_write_to_the_new)
    moved = (tmp_path / "access.1").stat().st_size

    def nobody_writes_to_the_old() -> bool:
        before = (tmp_path / "access.1").stat().st_size
        for _ in range(10):
            server.get("/environ/later")
        return (tmp_path / "access.1").stat().st_size == before

    eventually(nobody_writes_to_the_old)
    assert "/environ/before" in (tmp_path / "access.1").read_text()
    assert moved
    assert server.stop() == 0


@parity
def test_capture_output_puts_prints_into_the_log(serve: Serve, write, tmp_path: Path) -> None:
    write(
        "prints.py",
        """
        import os, sys
        from lab import application as lab

        def application(environ, start_response):
            print("to stdout", flush=True)
            print("to stderr", file=sys.stderr, flush=True)
            os.write(1, b"to the descriptor\\n")
            return lab(environ, start_response)
        """,
    )
    log = tmp_path / "error.log"
    options = ("--capture-output", "--log-file", str(log), "--pythonpath", str(APPS))
    server = serve("prints", *options, cwd=serve.folder)
    eventually(lambda: "to the descriptor" in log.read_text())
    assert "to stdout" in log.read_text() and "to stderr" in log.read_text()
    assert server.log == ""


@parity
def test_the_loggers_are_pythons(serve: Serve, write) -> None:
    """A handler that an application adds to `gunicorn.error` sees what is logged."""
    write(
        "listens.py",
        """
        import logging
        from lab import application, mark

        class Marks(logging.Handler):
            def emit(self, record):
                if record.exc_info:
                    mark("seen-" + record.exc_info[0].__name__)

        logging.getLogger("gunicorn.error").addHandler(Marks())
        """,
    )
    server = serve("listens", "--pythonpath", str(APPS), cwd=serve.folder)
    server.get("/error/here")
    serve.gates.wait_marked("seen-ValueError")


@parity
def test_the_applications_own_logging_is_left_alone(serve: Serve, write) -> None:
    write(
        "logs.py",
        """
        import logging
        from lab import application as lab

        logging.basicConfig(format="MINE %(message)s", level=logging.INFO)

        def application(environ, start_response):
            logging.getLogger("shop").info("sold")
            return lab(environ, start_response)
        """,
    )
    server = serve("logs", "--pythonpath", str(APPS), cwd=serve.folder)
    server.wait_log("^MINE sold$")
    assert "MINE Starting" not in server.log and "MINE Booting" not in server.log
