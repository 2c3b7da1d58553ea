"""The application is found by the strings that Gunicorn knows, and by dotted attributes."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import APPS, Serve, better, parity

MODULE = """
from types import SimpleNamespace

def say(text):
    def application(environ, start_response):
        body = str(text).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    return application

application = say("application")
app = say("app")

def factory(*args, **kwargs):
    return say(f"{args} {sorted(kwargs.items())}")

class Class:
    def __call__(self, environ, start_response):
        return say("instance")(environ, start_response)

    def method(self, environ, start_response):
        return say("method")(environ, start_response)

instance = Class()
space = SimpleNamespace(inner=SimpleNamespace(app=say("inner")), factory=factory)
"""


@pytest.fixture(autouse=True)
def module(write) -> None:
    write("strings.py", MODULE)
    write("package/__init__.py", "")
    write("package/deep/__init__.py", "")
    write("package/deep/wsgi.py", MODULE)


@parity
@pytest.mark.parametrize(
    ("string", "answer"),
    [
        ("strings", "application"),
        ("strings:application", "application"),
        ("strings:app", "app"),
        ("strings:instance", "instance"),
        pytest.param("strings:instance.method", "method", marks=better),
        pytest.param("strings:space.inner.app", "inner", marks=better),
        ("strings:factory()", "() []"),
        ('strings:factory("arg", k=1)', "('arg',) [('k', 1)]"),
        ("strings:factory(1, [2], {'a': None}, b=-3.5)", "(1, [2], {'a': None}) [('b', -3.5)]"),
        ("strings:Class()", "instance"),
        ("package.deep.wsgi", "application"),
        ("package.deep.wsgi:app", "app"),
    ],
)
def test_strings(serve: Serve, string: str, answer: str) -> None:
    assert serve(string, cwd=serve.folder).get().text == answer


@parity
@pytest.mark.parametrize(
    ("string", "said"),
    [
        ("strings:missing", "missing"),
        pytest.param("strings:applicaton", "application", marks=better),
        ("strings:space.inner.missing", "missing"),
        ("strings:factory(", "factory("),
        ("strings:factory(open('/etc/passwd'))", "open('/etc/passwd')"),
        ("strings:1 + 1", "1 + 1"),
        ("strings:factory", None),
        ("strings:MODULE", None),
    ],
)
def test_strings_that_name_no_application(serve: Serve, string: str, said: str | None) -> None:
    if string == "strings:factory":
        # Callable, so that only a request can tell.
        assert serve(string, cwd=serve.folder).get().status == 500
        return
    refusal = serve.refused(string, cwd=serve.folder)
    assert refusal.code == 4, refusal.text
    assert (said or "MODULE") in refusal.text
    assert "Traceback" not in refusal.text


@parity
def test_a_file_name_is_understood_and_refused(serve: Serve) -> None:
    refusal = serve.refused("strings.py", cwd=serve.folder)
    assert refusal.code in (3, 4)
    assert "strings:application" in refusal.text or "'strings'" in refusal.text


@parity
def test_chdir_is_where_modules_are_found(serve: Serve) -> None:
    server = serve("strings:app", "--chdir", str(serve.folder), cwd=APPS)
    assert server.get().text == "app"


@parity
def test_pythonpath_is_searched_first(serve: Serve, write) -> None:
    write("elsewhere/first/strings.py", MODULE.replace('"app"', '"elsewhere"'))
    paths = f"{serve.folder}/elsewhere/first,{serve.folder}/elsewhere"
    server = serve("strings:app", "--pythonpath", paths, cwd=serve.folder)
    assert server.get().text == "elsewhere"


@parity
def test_options_may_stand_after_the_application(serve: Serve) -> None:
    server = serve(None, "-w", "2", "strings:app", "--threads", "2", cwd=serve.folder)
    assert server.get().text == "app"
    assert "Using worker: gthread" in server.log
    server.wait_workers(2)


@parity
def test_the_configuration_may_name_it(serve: Serve) -> None:
    (serve.folder / "gunicorn.conf.py").write_text("wsgi_app = 'strings:app'\n")
    assert serve(None, cwd=serve.folder).get().text == "app"


@parity
def test_the_command_line_wins_over_the_configuration(serve: Serve) -> None:
    (serve.folder / "gunicorn.conf.py").write_text("wsgi_app = 'not_there:app'\n")
    assert serve("strings:app", cwd=serve.folder).get().text == "app"


@pytest.mark.parametrize(
    ("file", "source", "hint"),
    [
        ("main.py", "app = object()\n", "oxicorn main:app\n"),
        ("wsgi.py", "application: object = 1\n", "oxicorn wsgi:application\n"),
        ("app.py", "async def app(scope, receive, send): ...\n", "oxicorn app:app\n"),
        ("app.py", "def create_app(): ...\n", "oxicorn 'app:create_app()'\n"),
        ("shop/wsgi.py", "from .app import application\n", "oxicorn shop.wsgi:application\n"),
        ("main.py", "def broken(:\n", "oxicorn package.module:application\n"),
    ],
)
def test_none_at_all_is_answered_with_the_one_that_is_there(
    serve: Serve, tmp_path: Path, file: str, source: str, hint: str
) -> None:
    folder = tmp_path / "project"
    for name in (folder / "shop" / "__init__.py", folder / file):
        name.parent.mkdir(parents=True, exist_ok=True)
        name.touch()
    (folder / file).write_text(source)
    refusal = serve.refused(cwd=folder, bind=None)
    assert refusal.code == 1
    assert hint in refusal.err
    assert len(refusal.text.splitlines()) == 2


@parity
def test_none_at_all_is_a_clear_error(serve: Serve, tmp_path: Path) -> None:
    refusal = serve.refused(cwd=tmp_path)
    assert refusal.code in (1, 2)
    assert "application" in refusal.text.lower() and "Traceback" not in refusal.text


def test_a_file_name_is_answered_with_the_application_in_it(serve: Serve, write) -> None:
    write("only.py", "def app(environ, start_response): ...\n")
    refusal = serve.refused("only.py", cwd=serve.folder)
    assert 'did you mean "only:app"?' in refusal.text
