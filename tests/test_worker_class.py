"""Worker classes of one's own: those that extend ours run, the others are refused with advice."""

from __future__ import annotations

import os
from pathlib import Path
from signal import SIGQUIT, SIGTERM, SIGUSR1

import pytest
from harness import APPS, Serve, Server

OURS = """
from gunicorn.workers.{module} import {base}

class Ours({base}):
    served = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mark = "marked"

    def init_process(self):
        self.log.info("init_process %s %s", self.mark, self.pid)
        super().init_process()

    def load_wsgi(self):
        super().load_wsgi()
        inner = self.wsgi

        def wrapped(environ, start_response):
            self.served += 1
            environ["HTTP_X_WRAPPED"] = self.mark
            return inner(environ, start_response)

        self.wsgi = wrapped

    def run(self):
        self.log.info("run, booted: %s", self.booted)
        try:
            super().run()
        finally:
            self.log.info("ran, served: %s", self.served)

    def handle_exit(self, sig, frame):
        self.log.info("handle_exit %s", int(sig))
        super().handle_exit(sig, frame)

    def handle_quit(self, sig, frame):
        self.log.info("handle_quit %s", int(sig))
        super().handle_quit(sig, frame)

    def handle_usr1(self, sig, frame):
        self.log.info("handle_usr1 %s", int(sig))
        super().handle_usr1(sig, frame)
"""

BASES = {"sync": ("sync", "SyncWorker"), "gthread": ("gthread", "ThreadWorker")}


def _serve(serve: Serve, *options: str) -> Server:
    return serve("lab", "--pythonpath", str(APPS), *options, cwd=serve.folder)


@pytest.fixture
def ours(serve: Serve, kind: str) -> list[str]:
    module, base = BASES[kind]
    (serve.folder / "ours.py").write_text(OURS.format(module=module, base=base))
    return ["-k", "ours.Ours", "--threads", "1" if kind == "sync" else "4"]


def test_its_methods_stand_round_the_workers_life(serve: Serve, ours: list[str]) -> None:
    server = _serve(serve, *ours)
    [worker] = server.wait_workers(1)
    assert server.get("/environ").json()["HTTP_X_WRAPPED"] == "marked"
    os.kill(worker, SIGUSR1)
    server.wait_log(f"handle_usr1 {int(SIGUSR1)}")
    assert server.stop() == 0
    said = [line.rpartition("] ")[2] for line in server.log.splitlines() if f"[{worker}] [INFO]" in line]
    assert said == [
        f"Booting worker with pid: {worker}",
        f"init_process marked {worker}",
        "run, booted: True",
        "handle_usr1 10",
        f"handle_exit {int(SIGTERM)}",
        "ran, served: 2",
        f"Worker exiting (pid: {worker})",
    ]


def test_it_is_told_to_leave_at_once(serve: Serve, ours: list[str]) -> None:
    server = _serve(serve, *ours)
    [worker] = server.wait_workers(1)
    os.kill(worker, SIGQUIT)
    server.wait_replaced([worker], 1)
    assert f"handle_quit {int(SIGQUIT)}" in server.log
    assert "ran, served: 1" in server.log
    assert "Traceback" not in server.log


def test_the_class_itself_may_stand_in_the_conf_file(serve: Serve) -> None:
    (serve.folder / "gunicorn.conf.py").write_text(
        OURS.format(module="sync", base="SyncWorker") + "\nworker_class = Ours\n"
    )
    server = _serve(serve)
    assert server.get("/environ").json()["HTTP_X_WRAPPED"] == "marked"
    assert "init_process marked" in server.log


def test_it_extends_oxicorns_class_where_gunicorn_is_installed(serve: Serve) -> None:
    """What else is imported from Gunicorn is the installed one's."""
    installed = serve.folder / "installed" / "gunicorn"
    (installed / "workers").mkdir(parents=True)
    (installed / "__init__.py").write_text("installed = True\n")
    (installed / "workers" / "__init__.py").write_text("")
    (installed / "workers" / "sync.py").write_text("raise RuntimeError('this one brings its own loop')\n")
    (installed / "workers" / "gtornado.py").write_text("theirs = True\n")
    (serve.folder / "ours.py").write_text(OURS.format(module="sync", base="SyncWorker"))
    (serve.folder / "gunicorn.conf.py").write_text(
        "import gunicorn\nfrom gunicorn.workers import gtornado\nassert gunicorn.installed and gtornado.theirs\n"
        "worker_class = 'ours.Ours'\n"
    )
    server = serve("lab", "--pythonpath", str(APPS), cwd=serve.folder, env={"PYTHONPATH": str(installed.parent)})
    assert server.get("/environ").json()["HTTP_X_WRAPPED"] == "marked"


def test_an_application_that_does_not_import_is_still_a_boot_failure(serve: Serve, ours: list[str]) -> None:
    refusal = serve.refused("nowhere", *ours, cwd=serve.folder)
    assert refusal.code == 3
    assert 'cannot import "nowhere"' in refusal.text
    assert "Traceback" not in refusal.text


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (
            "from gunicorn.workers.sync import SyncWorker\n"
            "class Other(SyncWorker):\n    def handle_request(self, listener, req, client, addr):\n        pass\n",
            ["other.Other overrides handle_request", "hint: ", "pre_request"],
        ),
        (
            "from gunicorn.workers.base import Worker\nclass Other(Worker):\n    def run(self):\n        pass\n",
            ["other.Other is a class that Oxicorn cannot run", "hint: ", "SyncWorker"],
        ),
        ("Other = 5\n", ["other.Other is a class that Oxicorn cannot run"]),
        ("import meinheld_that_is_not_there\n", ["other.Other cannot be imported", "meinheld_that_is_not_there"]),
        (
            "import types\nbase = type('SyncWorker', (), {'__module__': 'gunicorn.workers.sync'})\n"
            "class Other(base):\n    pass\n",
            ["other.Other extends Gunicorn's own class", "oxicorn.workers"],
        ),
    ],
)
@pytest.mark.parametrize("more", [[], ["--check-config"]])
def test_what_cannot_run_is_refused_with_advice(
    serve: Serve, tmp_path: Path, text: str, reasons: list[str], more: list[str]
) -> None:
    (serve.folder / "other.py").write_text(text)
    refusal = serve.refused("lab", "--pythonpath", str(APPS), "-k", "other.Other", *more, cwd=serve.folder)
    assert refusal.code == 1
    assert refusal.text.startswith("error: worker_class: ")
    assert all(reason in refusal.text for reason in reasons), refusal.text
    assert "Traceback" not in refusal.text


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("eventlet", "gthread serves the same application"),
        ("tornado", "sync and gthread serve WSGI applications"),
        ("gunicorn.workers.geventlet.EventletWorker", "gthread serves the same application"),
        ("egg:meinheld#gunicorn_worker", "the application decides between sync and asgi"),
    ],
)
def test_classes_that_are_not_there_are_refused_with_advice(serve: Serve, name: str, advice: str) -> None:
    refusal = serve.refused("lab", "-k", name, "--check-config")
    assert refusal.code == 1
    assert "sync, gthread, gevent or asgi" in refusal.text
    assert advice in refusal.text
