"""Monitoring agents that wrap what Gunicorn calls: they find it for applications of every kind."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Serve, Server

#: What New Relic's agent does at the start of the interpreter: a finder that stands first, and a loader of its own
#: round the one that is found.
AGENT = """
import functools, importlib.util, sys

HOOKED = "gunicorn.app.base"

class Loader:
    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        if module.__name__ == HOOKED:
            wrap(module.Application)

def wrap(application):
    inner = application.wsgi

    @functools.wraps(inner)
    def wsgi(self):
        found = inner(self)
        if hasattr(found, "seen"):
            return found

        def seen(environ, start_response):
            def start(status, fields, *rest):
                return start_response(status, [*fields, ("X-Agent", type(self).__name__)], *rest)
            return found(environ, start)

        seen.seen = True
        return seen

    application.wsgi = wsgi

class Finder:
    asking = False

    def find_spec(self, name, path=None, target=None):
        if name != HOOKED or self.asking:
            return None
        self.asking = True
        try:
            spec = importlib.util.find_spec(name)
            spec.loader = Loader(spec.loader)
            return spec
        finally:
            self.asking = False

sys.meta_path.insert(0, Finder())
"""


@pytest.fixture
def agent(tmp_path: Path) -> dict[str, str]:
    """The environment in which the agent is there from the interpreter's start."""
    folder = tmp_path / "agent"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(AGENT)
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("options", [[], ["--preload"], ["-k", "gthread", "--threads", "2"]])
def test_an_agent_wraps_a_bare_wsgi_application(serve: Serve, agent: dict[str, str], options: list[str]) -> None:
    server = serve("lab", *options, env=agent)
    assert server.get().all("X-Agent") == ["WSGIApplication"]


@pytest.mark.parametrize(
    "finds", ["pass", "find_spec = None", "def find_spec(self, *_): raise RuntimeError('not now')"]
)
def test_finders_that_cannot_be_asked_are_no_agents(serve: Serve, write, tmp_path: Path, finds: str) -> None:
    """Bottle up to 0.12, which projects carry along, puts a finder of the old kind in place."""
    imports = "" if "RuntimeError" in finds else "import gunicorn.app.base"
    write(
        "old.py",
        f"""
        import sys
        from lab import application

        class Old:
            {finds}

        sys.meta_path.append(Old())
        {imports}
        """,
    )
    server = serve("old:application", "--pythonpath", str(tmp_path))
    assert server.get().text == "Hello, world!"


def test_a_conf_file_may_wrap_it(serve: Serve, tmp_path: Path) -> None:
    conf = tmp_path / "conf.py"
    text = AGENT.replace(
        "sys.meta_path.insert(0, Finder())", "import gunicorn.app.base\nwrap(gunicorn.app.base.Application)"
    )
    conf.write_text(text)
    server = serve("lab", "-c", str(conf))
    assert server.get().all("X-Agent") == ["WSGIApplication"]


def test_an_embedding_program_is_wrapped_once(agent: dict[str, str], tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "program.py").write_text(
        "import sys\nfrom gunicorn.app.base import Application\n\n"
        "class Program(Application):\n"
        "    def init(self, parser, options, arguments):\n        return {}\n"
        "    def load(self):\n"
        "        def app(environ, start_response):\n"
        "            start_response('200 OK', [('Content-Length', '2')])\n            return [b'ok']\n"
        "        return app\n\n"
        "if __name__ == '__main__':\n    Program().run()\n"
    )
    words = (sys.executable, "-m", "oxicorn.compat", str(tmp_path / "program.py"))
    # The prefix executes the program in the server's place, with the server's options.
    server = serve(None, prefix=("sh", "-c", f'shift 2; exec {shlex.join(words)} "$@"'), env=agent)
    assert server.get().all("X-Agent") == ["Program"]


def test_without_an_agent_nothing_of_gunicorns_is_imported(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import sys\n\n"
        "def application(environ, start_response):\n"
        "    body = str('gunicorn' in sys.modules).encode()\n"
        "    start_response('200 OK', [('Content-Length', str(len(body)))])\n    return [body]\n"
    )
    server: Server = serve("app", cwd=tmp_path)
    assert server.get().body == b"False"


def test_new_relics_own_agent(serve: Serve, tmp_path: Path) -> None:
    found = subprocess.run([sys.executable, "-c", "import newrelic"], capture_output=True, check=False)
    if found.returncode:
        pytest.skip("newrelic is not installed")
    (tmp_path / "sitecustomize.py").write_text(
        "import newrelic.api.import_hook as hooks\n"
        "import sys\n"
        "from newrelic.hooks import adapter_gunicorn\n"
        "hooks.register_import_hook('gunicorn.app.base', adapter_gunicorn.instrument_gunicorn_app_base)\n"
        "sys.meta_path.insert(0, hooks.ImportHookFinder())\n"
    )
    conf = tmp_path / "conf.py"
    conf.write_text("def post_worker_init(worker):\n    print('wrapped:', type(worker.wsgi).__module__, flush=True)\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    server = serve("lab", "-c", str(conf), env={"PYTHONPATH": path})
    assert server.get().body == b"Hello, world!"
    server.wait_log("^wrapped: .*(newrelic|wrapt)")
