"""The hooks of the configuration run when, where and with what Gunicorn runs them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR2

import pytest
from harness import APPS, Serve, Server, better, eventually, parity, processes

CONF = """
import os
from pathlib import Path

FILE = Path(os.environ["LAB_GATES"]) / "hooks"

def note(name, *values):
    with FILE.open("a") as file:
        file.write(" ".join([str(os.getpid()), name, *map(str, values)]) + "\\n")

note("conf")

def on_starting(server):
    note("on_starting", server.pid == os.getpid(), server.cfg.workers)

def when_ready(server):
    note("when_ready", server.pid == os.getpid(), len(server.LISTENERS))

def on_reload(server):
    note("on_reload")

def nworkers_changed(server, new_value, old_value):
    note("nworkers_changed", new_value, old_value)

def pre_fork(server, worker):
    note("pre_fork", worker.age)

def post_fork(server, worker):
    note("post_fork", worker.age, worker.pid == os.getpid(), worker.ppid == os.getppid())

def post_worker_init(worker):
    note("post_worker_init", callable(worker.wsgi), worker.cfg.workers)

def worker_int(worker):
    note("worker_int", worker.pid == os.getpid())

def worker_abort(worker):
    note("worker_abort", worker.pid == os.getpid())

def worker_exit(server, worker):
    note("worker_exit", worker.pid == os.getpid())

def child_exit(server, worker):
    note("child_exit", worker.pid)

def pre_exec(server):
    note("pre_exec")

def pre_request(worker, req):
    note("pre_request", req.method, req.uri, req.path, req.query)

def post_request(worker, req, environ, resp):
    note("post_request", req.method, environ["PATH_INFO"], resp.status)

def on_exit(server):
    note("on_exit")
"""


class Notes:
    """What the hooks wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[tuple[int, str, list[str]]]:
        rows = []
        for line in self.path.read_text().splitlines():
            pid, name, *values = line.split(" ")
            rows.append((int(pid), name, values))
        return rows

    def names(self, *, of: int | None = None) -> list[str]:
        return [name for pid, name, _ in self.all() if of is None or pid == of]

    def values(self, hook: str) -> list[list[str]]:
        return [values for _, name, values in self.all() if name == hook]

    def forget(self) -> None:
        self.path.write_text("")


@pytest.fixture
def notes(serve: Serve) -> Notes:
    return Notes(serve.gates.folder / "hooks")


@pytest.fixture
def start(serve: Serve, notes: Notes) -> Callable[..., Server]:
    """A server with all hooks, in a folder of its own."""
    (serve.folder / "gunicorn.conf.py").write_text(CONF)
    (serve.folder / "hooked.py").write_text(
        "import os\n"
        "from lab import GATES, application\n"
        "with (GATES / 'hooks').open('a') as file:\n"
        "    file.write(f'{os.getpid()} import\\n')\n"
    )

    def start(*options: str, **more) -> Server:
        paths = ("--pythonpath", str(APPS))
        server = serve("hooked", *paths, *options, cwd=serve.folder, **more)
        eventually(lambda: "post_request" in notes.names(), what="the end of the first request")
        return server

    return start


@parity
def test_the_order_of_a_life(start, notes: Notes, kind: str) -> None:
    server = start("-w", "1", kind=kind)
    [worker] = server.wait_workers(1)
    server.get("/pid?q=1")
    assert server.stop() == 0
    arbiters = notes.names(of=server.pid)
    assert arbiters == [
        "conf",
        "nworkers_changed",
        "on_starting",
        "when_ready",
        "pre_fork",
        "child_exit",
        "on_exit",
    ]
    assert notes.names(of=worker) == [
        "post_fork",
        "import",
        "post_worker_init",
        "pre_request",
        "post_request",
        "pre_request",
        "post_request",
        "worker_exit",
    ]


@parity
def test_what_they_are_given(start, notes: Notes) -> None:
    server = start("-w", "1")
    [worker] = server.wait_workers(1)
    server.post("/echo?q=1", b"abc")
    assert server.stop() == 0
    assert notes.values("on_starting") == [["True", "1"]]
    assert notes.values("when_ready") == [["True", "1"]]
    assert notes.values("nworkers_changed") == [["1", "None"]]
    assert notes.values("pre_fork") == [["1"]]
    assert notes.values("post_fork") == [["1", "True", "True"]]
    assert notes.values("post_worker_init") == [["True", "1"]]
    assert notes.values("pre_request")[-1] == ["POST", "/echo?q=1", "/echo", "q=1"]
    assert notes.values("post_request")[-1] == ["POST", "/echo", "200", "OK"]
    assert notes.values("worker_exit") == [["True"]]
    assert notes.values("child_exit") == [[str(worker)]]


@parity
def test_a_reload(start, notes: Notes) -> None:
    server = start("-w", "1")
    old = server.wait_workers(1)
    notes.forget()
    server.signal(SIGHUP)
    [new] = server.wait_replaced(old, 1)
    arbiters = eventually(lambda: "child_exit" in notes.names(of=server.pid) and notes.names(of=server.pid))
    assert [name for name in arbiters if name != "nworkers_changed"] == [
        "conf",
        "on_reload",
        "pre_fork",
        "child_exit",
    ]
    assert notes.names(of=new) == ["post_fork", "import", "post_worker_init"]
    assert notes.names(of=old[0]) == ["worker_exit"]


@parity
@pytest.mark.parametrize("number", [SIGINT, SIGQUIT])
def test_worker_int(start, notes: Notes, kind: str, number: int) -> None:
    server = start("-w", "1", kind=kind)
    [worker] = server.wait_workers(1)
    os.kill(worker, number)
    server.wait_replaced([worker], 1)
    assert notes.names(of=worker)[-2:] == ["worker_int", "worker_exit"]


@parity
def test_term_is_no_int(start, notes: Notes) -> None:
    server = start("-w", "1")
    [worker] = server.wait_workers(1)
    os.kill(worker, SIGTERM)
    server.wait_replaced([worker], 1)
    assert "worker_int" not in notes.names()


@parity
def test_worker_abort_at_a_timeout(serve: Serve, start, notes: Notes) -> None:
    server = start("-w", "1", "--timeout", "1", kind="sync")
    [worker] = server.wait_workers(1)
    with server.connect() as wire:
        wire.request("/gate/hung")
        serve.gates.wait_entered("hung")
        server.wait_replaced([worker], 1)
    assert "worker_abort" in notes.names(of=worker)
    # The worker is replaced by its end; the hook runs a moment after that was collected.
    eventually(lambda: notes.values("child_exit") == [[str(worker)]])


@parity
def test_nworkers_changed(start, notes: Notes) -> None:
    server = start("-w", "1")
    server.wait_workers(1)
    server.signal(SIGTTIN)
    server.wait_workers(2)
    server.signal(SIGTTOU)
    server.wait_workers(1)
    assert notes.values("nworkers_changed") == [["1", "None"], ["2", "1"], ["1", "2"]]


@parity
def test_pre_exec(start, notes: Notes, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    server = start("-w", "1", "--pid", str(pidfile))
    server.wait_workers(1)
    server.signal(SIGUSR2)
    second = tmp_path / "pid.2"
    new = int(eventually(lambda: second.exists() and second.read_text().strip(), within=20))
    assert notes.names(of=new)[:2] == ["pre_exec", "conf"]
    os.kill(new, SIGTERM)
    eventually(lambda: not processes.alive(new), within=15)


@parity
def test_post_request_runs_after_an_error(start, notes: Notes, kind: str) -> None:
    server = start("-w", "1", kind=kind)
    server.get("/error/here")
    eventually(lambda: len(notes.values("post_request")) == 2)
    assert notes.values("post_request")[-1][:2] == ["GET", "/error/here"]


@parity
@pytest.mark.parametrize("hook", ["on_starting", "when_ready"])
def test_a_hook_of_the_start_that_fails_stops_it(serve: Serve, hook: str) -> None:
    (serve.folder / "gunicorn.conf.py").write_text(f"def {hook}(server):\n    raise RuntimeError('not today')\n")
    refusal = serve.refused("lab", "--pythonpath", str(APPS), cwd=serve.folder)
    assert refusal.code == 1
    assert "not today" in refusal.text


@parity
@pytest.mark.parametrize(("hook", "arguments"), [("post_fork", "server, worker"), ("post_worker_init", "worker")])
def test_a_hook_of_the_boot_that_fails_is_a_boot_failure(serve: Serve, hook: str, arguments: str) -> None:
    (serve.folder / "gunicorn.conf.py").write_text(f"def {hook}({arguments}):\n    raise RuntimeError('not today')\n")
    refusal = serve.refused("lab", "--pythonpath", str(APPS), cwd=serve.folder)
    assert refusal.code == 3
    assert "not today" in refusal.text


@parity
@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("post_request", "worker, req"),
        pytest.param("child_exit", "server, worker", marks=better),
        pytest.param("on_exit", "server", marks=better),
    ],
)
def test_other_hooks_that_fail_are_logged(serve: Serve, hook: str, arguments: str) -> None:
    (serve.folder / "gunicorn.conf.py").write_text(f"def {hook}({arguments}):\n    raise RuntimeError('not today')\n")
    server = serve("lab", "--pythonpath", str(APPS), cwd=serve.folder)
    assert server.get().text == "Hello, world!"
    assert server.stop() == 0
    assert "not today" in server.log


@parity
def test_they_can_log(serve: Serve) -> None:
    (serve.folder / "gunicorn.conf.py").write_text(
        "def when_ready(server):\n    server.log.info('ready with %s', server.cfg.workers)\n"
        "def post_fork(server, worker):\n    server.log.info('forked %s', worker.pid)\n"
        "def post_worker_init(worker):\n    worker.log.warning('initialised')\n"
        "def pre_request(worker, req):\n    worker.log.debug('%s %s', req.method, req.path)\n"
    )
    server = serve("lab", "--pythonpath", str(APPS), "--log-level", "debug", cwd=serve.folder)
    [worker] = server.wait_workers(1)
    server.wait_log(r"\[INFO\] ready with 1")
    server.wait_log(rf"\[{worker}\] \[INFO\] forked {worker}")
    server.wait_log(r"\[WARNING\] initialised")
    server.wait_log(r"\[DEBUG\] GET /")


def _conf(serve: Serve, text: str) -> None:
    (serve.folder / "gunicorn.conf.py").write_text(text)


def _serve_lab(serve: Serve, *options: str, **more) -> Server:
    return serve("lab", "--pythonpath", str(APPS), *options, cwd=serve.folder, **more)


@parity
@pytest.mark.parametrize("hook", ["on_starting", "when_ready"])
def test_a_hook_of_the_start_may_end_it_with_a_sentence(serve: Serve, hook: str) -> None:
    _conf(serve, f"import sys\ndef {hook}(server):\n    sys.exit('no database')\n")
    refusal = serve.refused("lab", "--pythonpath", str(APPS), cwd=serve.folder)
    assert refusal.code == 1
    assert "no database" in refusal.text
    assert "Traceback" not in refusal.text


def test_an_exception_of_a_hook_is_told_with_its_name(serve: Serve) -> None:
    _conf(serve, "def on_starting(server):\n    raise RuntimeError('no database')\n")
    refusal = serve.refused("lab", "--pythonpath", str(APPS), cwd=serve.folder)
    assert "error: Exception in the hook on_starting:\nTraceback" in refusal.text


def test_listeners_are_sockets(serve: Serve) -> None:
    _conf(
        serve,
        "import socket\n"
        "def when_ready(server):\n"
        "    [listener] = server.LISTENERS\n"
        "    server.log.info('at %s %s %s %s %s', listener, listener.getsockname(), listener.cfg_addr,\n"
        "        listener.family.name, server.address)\n"
        "def post_worker_init(worker):\n"
        "    [listener] = worker.sockets\n"
        "    queued = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)\n"
        "    worker.log.info('here %s %s %s', listener.sock.getsockname(), listener.fileno() > 2, queued)\n",
    )
    server = _serve_lab(serve)
    host, port = server.address
    server.wait_log(
        re.escape(f"at http://{host}:{port} ('{host}', {port}) ('{host}', {port}) AF_INET [('{host}', {port})]")
    )
    server.wait_log(re.escape(f"here ('{host}', {port}) True 1"))


@parity
def test_the_objects_know_each_other(serve: Serve) -> None:
    _conf(
        serve,
        "def pre_fork(server, worker):\n"
        "    worker.note = 'from before the fork'\n"
        "def post_fork(server, worker):\n"
        "    worker.log.info('%s of %s', worker.note, worker.app is server.app)\n"
        "def post_worker_init(worker):\n"
        "    app = worker.app\n"
        "    worker.log.info('app %s %s %s', app.app_uri, app.callable is worker.wsgi, app.wsgi() is worker.wsgi)\n"
        "    worker.log.info('booted %s, %s s', worker.booted, worker.timeout)\n"
        "def pre_request(worker, req):\n"
        "    worker.log.info('booted %s', worker.booted)\n"
        "def child_exit(server, worker):\n"
        "    server.log.info('gone %s %s', worker.note, worker.pid in server.WORKERS)\n",
    )
    server = _serve_lab(serve)
    server.wait_log("from before the fork of True")
    server.wait_log("app lab True True")
    server.wait_log(r"booted False, 15\.0 s")
    server.wait_log("booted True")
    assert server.stop() == 0
    assert "gone from before the fork False" in server.log


def test_a_worker_that_is_no_longer_alive_is_replaced(serve: Serve, kind: str) -> None:
    _conf(
        serve,
        "def post_request(worker, req):\n    if req.path == '/pid':\n        worker.alive = False\n",
    )
    server = _serve_lab(serve, "-w", "1", kind=kind)
    old = server.wait_workers(1)
    assert int(server.get("/pid").text) == old[0]
    server.wait_replaced(old, 1)
    assert server.get("/").status == 200


def test_hooks_may_set_when_a_worker_is_replaced(serve: Serve) -> None:
    _conf(
        serve,
        "import sys\n"
        "def post_fork(server, worker):\n"
        "    assert worker.max_requests == sys.maxsize\n"
        "    worker.max_requests = 1000\n"
        "def post_request(worker, req):\n"
        "    worker.log.info('request %s of %s', worker.nr, worker.max_requests)\n"
        "    if req.path == '/again':\n"
        "        worker.nr = 0\n"
        "    if req.path == '/pid':\n"
        "        worker.max_requests = worker.nr + 1\n",
    )
    server = _serve_lab(serve, "-w", "1")
    [old] = server.wait_workers(1)
    server.wait_log("request 1 of 1000")
    server.get("/again")
    server.wait_log("request 2 of 1000")
    server.get("/pid")
    server.wait_log("request 1 of 1000", times=2)
    assert server.workers() == [old]
    server.get("/")
    server.wait_replaced([old], 1)
    assert "request 2 of 2" in server.log


def test_the_arbiter_takes_another_number_of_workers(serve: Serve) -> None:
    _conf(
        serve,
        "def when_ready(server):\n"
        "    server.num_workers = 3\n"
        "def nworkers_changed(server, new_value, old_value):\n"
        "    server.log.info('from %s to %s: %s', old_value, new_value, server.num_workers)\n",
    )
    server = _serve_lab(serve, "-w", "1")
    server.wait_workers(3)
    assert "from 2 to 3: 3" in server.log


def test_hooks_may_reload_and_stop_the_server(serve: Serve) -> None:
    _conf(
        serve,
        "def child_exit(server, worker):\n    server.stop() if worker.age > 1 else server.reload()\n",
    )
    server = _serve_lab(serve, "-w", "1")
    [first] = server.wait_workers(1)
    os.kill(first, SIGTERM)
    assert server.wait_exit() == 0
    assert "hup" in server.log


def test_a_request_that_lasts_may_ask_for_more_time(serve: Serve) -> None:
    _conf(
        serve,
        "workers = 1\ntimeout = 2\n"
        "import time\n"
        "def pre_request(worker, req):\n"
        "    for _ in range(7 if req.path == '/pid' else 0):\n"
        "        time.sleep(0.5)\n"
        "        worker.tmp.notify()\n",
    )
    server = _serve_lab(serve)
    [worker] = server.wait_workers(1)
    assert int(server.get("/pid").text) == worker


@pytest.mark.parametrize(
    ("hook", "wrong"),
    [
        ("post_fork", "def post_fork(server):\n    pass\n"),
        ("post_request", "def post_request(worker, req, environ, resp, more):\n    pass\n"),
        ("when_ready", "when_ready = 5\n"),
        ("on_exit", "on_exit = 'no.such.module'\n"),
    ],
)
def test_a_hook_that_cannot_be_called_is_refused_by_name(serve: Serve, hook: str, wrong: str) -> None:
    _conf(serve, wrong)
    for option in ([], ["--check-config"]):
        refusal = serve.refused("lab", "--pythonpath", str(APPS), *option, cwd=serve.folder)
        assert refusal.code == 1
        assert refusal.text.startswith(f"error: {hook}: ")
        assert "Traceback" not in refusal.text


def test_a_hook_may_be_the_name_of_a_function(serve: Serve) -> None:
    (serve.folder / "ours.py").write_text("def ready(server):\n    server.log.info('ours is ready')\n")
    _conf(serve, "when_ready = 'ours.ready'\n")
    _serve_lab(serve).wait_log("ours is ready")


@pytest.mark.parametrize("parameters", ["worker, req", "worker, req, environ", "worker, req, environ, resp"])
def test_post_request_takes_two_to_four_parameters(serve: Serve, parameters: str) -> None:
    _conf(serve, f"def post_request({parameters}):\n    worker.log.info('got %s', len(locals()))\n")
    _serve_lab(serve).wait_log(f"got {parameters.count(',') + 1}")


def test_what_pre_request_raises_answers_500(serve: Serve) -> None:
    _conf(serve, "def pre_request(worker, req):\n    raise RuntimeError('not today')\n")
    server = _serve_lab(serve)
    assert server.get().status == 500
    assert "not today" in server.log


@parity
def test_what_pre_request_changes_is_what_the_application_sees(serve: Serve) -> None:
    _conf(
        serve,
        "forwarder_headers = 'SCRIPT_NAME'\n"
        "def pre_request(worker, req):\n"
        "    if req.path != '/':\n"
        "        req.method, req.scheme, req.version = 'PATCH', 'https', (1, 0)\n"
        "        req.path, req.query, req.uri = '/shop/environ/%41', 'a=1', '/other'\n"
        "        req.headers.append(('SCRIPT_NAME', '/shop'))\n",
    )
    server = _serve_lab(serve)
    seen = server.get("/before").json()
    names = [
        "REQUEST_METHOD",
        "wsgi.url_scheme",
        "SERVER_PROTOCOL",
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "RAW_URI",
    ]
    assert [seen[name] for name in names] == [
        "PATCH",
        "https",
        "HTTP/1.0",
        "/shop",
        "/environ/A",
        "a=1",
        "/other",
    ]


@parity
@pytest.mark.parametrize(
    "headers",
    ["tuple(req.headers)", "[list(pair) for pair in req.headers]", "dict(req.headers).items()"],
)
def test_pre_request_may_replace_the_headers_by_any_pairs(serve: Serve, headers: str) -> None:
    _conf(serve, f"def pre_request(worker, req):\n    req.headers = {headers}\n")
    server = _serve_lab(serve)
    assert server.get("/environ", fields=[("X-Kept", "yes")]).json()["HTTP_X_KEPT"] == "yes"


@parity
def test_the_access_log_shows_fields_that_pre_request_adds(serve: Serve) -> None:
    _conf(
        serve,
        "accesslog = '-'\naccess_log_format = '<%({x-busy}i)s %(m)s>'\n"
        "def pre_request(worker, req):\n    req.headers.append(('X-BUSY', '3'))\n",
    )
    _serve_lab(serve).wait_log("<3 GET>")


@parity
def test_hooks_do_not_see_fields_that_header_map_drops(serve: Serve) -> None:
    _conf(
        serve,
        "def pre_request(worker, req):\n"
        "    worker.log.info('sees %s', sorted(name for name, _ in req.headers if name.startswith('X')))\n",
    )
    server = _serve_lab(serve)
    server.get(fields=[("X_User", "admin"), ("X-User", "guest")])
    server.wait_log(r"sees \['X-USER'\]")
