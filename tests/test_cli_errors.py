"""Bad input gives a clear message and a clean exit code, never a traceback of the server."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

import pytest
from harness import APPS, Refusal, Serve, better, parity


def clear(refusal: Refusal, code: int, *said: str) -> Refusal:
    """Check the exit code, what must be said, and that nothing of the server's inside shows."""
    assert refusal.code == code, f"exit code {refusal.code}:\n{refusal.text}"
    for each in said:
        assert each in refusal.text, f"{each!r} is not said in:\n{refusal.text}"
    assert "Traceback" not in refusal.text, refusal.text
    assert "panicked" not in refusal.text, refusal.text
    return refusal


@better
def test_an_unknown_option(serve: Serve) -> None:
    refusal = clear(serve.refused("lab", "--wrokers", "2"), 2, "--wrokers")
    assert "--workers" in refusal.text, "the nearest one is suggested"


@parity
@pytest.mark.parametrize("words", [["--work", "2"], ["--workers"]])
def test_a_wrong_use_of_options(serve: Serve, words: list[str]) -> None:
    clear(serve.refused("lab", *words), 2, words[0])


def unclear(words: list[str], said: list[str]):
    """A case in which Gunicorn does not say all of this."""
    return pytest.param(words, said, marks=better)


@parity
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "many"], ["workers", "many"]),
        unclear(["--workers", "-1"], ["workers", "-1"]),
        (["--timeout", "soon"], ["timeout", "soon"]),
        unclear(["--bind", "127.0.0.1:port"], ["bind", "127.0.0.1:port"]),
        unclear(["--bind", "127.0.0.1:99999"], ["bind", "99999"]),
        unclear(["--bind", "fd://x"], ["bind", "fd://x"]),
        unclear(["--worker-class", "snyc"], ["worker", "snyc", "sync"]),
        unclear(["--forwarded-allow-ips", "localhost"], ["forwarded", "localhost"]),
        unclear(["--forwarded-allow-ips", "10.0.0.1/8"], ["forwarded", "10.0.0.1/8"]),
        (["--umask", "rw"], ["umask", "rw"]),
        (["--chdir", "/not/there"], ["chdir", "/not/there"]),
        unclear(["--header-map", "perhaps"], ["perhaps", "refuse"]),
        (["--env", "NO_VALUE"], ["NO_VALUE"]),
    ],
    ids=lambda each: each[0] if each[0].startswith("--") else None,
)
def test_a_bad_value(serve: Serve, words: list[str], said: list[str]) -> None:
    """The message names the setting, the value, and what would be accepted."""
    refusal = serve.refused("lab", *words, bind=None)
    assert refusal.code in (1, 2), refusal.text
    clear(refusal, refusal.code, *said)
    assert len(refusal.text.splitlines()) < 12, refusal.text


def test_an_unknown_log_level(serve: Serve) -> None:
    """To Gunicorn it means `info`."""
    clear(serve.refused("lab", "--log-level", "loud"), 1, "loud", "info")


@better
def test_a_bad_value_of_the_environment(serve: Serve) -> None:
    refusal = serve.refused("lab", env={"WEB_CONCURRENCY": "x"})
    clear(refusal, 1, "WEB_CONCURRENCY", "x")
    assert serve.refused("--version", env={"WEB_CONCURRENCY": "x"}, bind=None).code == 0


@better
def test_a_bad_value_of_cmd_args(serve: Serve) -> None:
    refusal = serve.refused("lab", env={"GUNICORN_CMD_ARGS": "--workers many"})
    assert refusal.code in (1, 2)
    clear(refusal, refusal.code, "GUNICORN_CMD_ARGS", "many")


@better
def test_a_bad_value_of_the_conf_file(serve: Serve, write) -> None:
    write("gunicorn.conf.py", "workers = 'many'\n")
    clear(serve.refused("lab", cwd=serve.folder), 1, "gunicorn.conf.py", "workers", "many", "whole number")


@parity
@pytest.mark.parametrize(
    ("name", "value"),
    [("bind", "3"), ("when_ready", "'not.there'"), ("preload_app", "'perhaps'"), ("pidfile", "5")],
)
def test_a_value_of_the_wrong_kind(serve: Serve, write, name: str, value: str) -> None:
    write("gunicorn.conf.py", f"{name} = {value}\n")
    clear(serve.refused("lab", cwd=serve.folder, bind=None), 1, name)


@parity
def test_a_hook_that_takes_the_wrong_number_of_arguments(serve: Serve, write) -> None:
    write("gunicorn.conf.py", "def post_fork(server):\n    pass\n")
    clear(serve.refused("lab", cwd=serve.folder), 1, "post_fork", "2")


def test_an_option_that_comes_later_is_refused_by_name(serve: Serve) -> None:
    clear(serve.refused("lab", "--certfile", "cert.pem"), 1, "certfile")


@better
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\ndef broken(:\n", [":2"]),
        ("x = 1\n\nraise ValueError('no secret')\n", [":3", "ValueError: no secret"]),
        ("import not_there\n", [":1", "not_there"]),
    ],
)
def test_a_conf_file_that_cannot_be_read(serve: Serve, write, source: str, said: list[str]) -> None:
    """The file and the line, not the server's way there."""
    write("gunicorn.conf.py", source)
    refusal = serve.refused("lab", cwd=serve.folder)
    assert refusal.code == 1
    numbered = refusal.text.replace('", line ', ":")
    for each in ("gunicorn.conf.py", *said):
        assert each in numbered, refusal.text
    foreign(refusal, "gunicorn.conf.py")


def foreign(refusal: Refusal, *own: str) -> None:
    """Check that every frame that is shown is one of the user's files."""
    frames = re.findall(r'File "([^"]+)", line', refusal.text)
    others = [frame for frame in frames if not frame.endswith(own)]
    assert others == [], refusal.text


@parity
def test_a_conf_file_that_is_not_there(serve: Serve) -> None:
    clear(serve.refused("lab", "-c", "not_there.py"), 1, "not_there.py")


@better
def test_a_module_that_is_not_there(serve: Serve, write) -> None:
    write("shop.py", "application = None\n")
    refusal = clear(serve.refused("shp", cwd=serve.folder), 3, "shp")
    assert "shop" in refusal.text, "the nearest one is suggested"


DJANGO = {
    "manage.py": """
        import os
        def main():
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
        if __name__ == "__main__":
            main()
        """,
    "mysite/__init__.py": "",
    "mysite/settings.py": "",
    "mysite/wsgi.py": "from mysite.made import get\napplication = get()\n",
    "mysite/made.py": "def get():\n    return lambda environ, start_response: []\n",
    "mysite/urls.py": "urlpatterns = []\n",
}


@pytest.mark.parametrize(
    "spec",
    [
        *(
            "mysite.wsgi.application",
            "mysite",
            "mysite/wsgi.py",
            "manage",
            "manage.py",
            "mysite/wsgi",
            "./mysite/wsgi.py",
        ),
        *("mysite.wsgi.py", "mysite/wsgi.py:application", "mysite/", "mysite.wsgi:app", "manage:application"),
    ],
)
def test_a_name_that_is_nearly_an_application_leads_to_it(serve: Serve, write, spec: str) -> None:
    for name, text in DJANGO.items():
        write(name, text)
    refusal = serve.refused(spec, cwd=serve.folder)
    clear(refusal, refusal.code, 'did you mean "mysite.wsgi:application"?')
    assert refusal.code in (3, 4)


@pytest.mark.parametrize("spec", ["sight", "code", "queue:app", "tst", "jsn", "json.tol", "test", "asyncoi"])
def test_a_project_that_is_mistyped_is_no_module_of_the_standard_library(serve: Serve, write, spec: str) -> None:
    refusal = serve.refused(spec, cwd=serve.folder)
    assert refusal.code in (3, 4)
    said = refusal.text.partition("hint: ")[2]
    assert "did you mean" not in said, refusal.text
    write("shop.py", "async def app(scope, receive, send):\n    pass\n")
    refusal = serve.refused(spec, cwd=serve.folder)
    for name in re.findall(r'did you mean "([^"]+)"', refusal.text):
        assert name == "shop:app", refusal.text


@pytest.mark.parametrize(
    ("spec", "leads"),
    [
        ("shop.py", "shop:app"),
        ("shop.py:app", "shop:app"),
        ("shop.app", "shop:app"),
        ("shop", "shop:app"),
        ("shop:create", "shop:create_app()"),
        ("src/web.py", "src.web:application"),
        ("src/web.py:application", "src.web:application"),
        ("helpers", "shop:app"),
    ],
)
def test_paths_and_dots_lead_to_the_application(serve: Serve, write, spec: str, leads: str) -> None:
    write("shop.py", "app = lambda environ, start_response: []\ndef create_app():\n    return app\n")
    write("src/web.py", "application = lambda environ, start_response: []\n")
    write("helpers.py", "def main():\n    pass\n\ndef tidy(one):\n    pass\n")
    refusal = serve.refused(spec, cwd=serve.folder)
    assert refusal.code in (3, 4)
    assert leads in refusal.text.partition("did you mean")[2], refusal.text


def test_a_file_elsewhere_leads_there(serve: Serve, write, tmp_path: Path) -> None:
    write("elsewhere/web.py", "app = lambda environ, start_response: []\n")
    write("here/x", "")
    refusal = serve.refused(f"{tmp_path}/elsewhere/web.py", cwd=tmp_path / "here")
    clear(refusal, 4, f"--chdir {tmp_path}/elsewhere web:app")


def test_no_application_leads_to_the_one_that_is_there(serve: Serve, write) -> None:
    for name, text in DJANGO.items():
        write(name, text)
    clear(serve.refused(cwd=serve.folder), 1, "no application was named", "hint: oxicorn mysite.wsgi:application")


@pytest.mark.parametrize(
    ("bind", "leads"),
    [
        ("http://127.0.0.1:8000", "did you mean 127.0.0.1:8000?"),
        ("8000", "did you mean 127.0.0.1:8000, or 0.0.0.0:8000"),
        ("/run/x.sock", "did you mean unix:/run/x.sock?"),
        ("*:8000", "did you mean 0.0.0.0:8000?"),
        ("unix:/" + "x" * 107, "path too long (108 bytes)"),
    ],
)
def test_an_address_of_another_program_is_corrected(serve: Serve, bind: str, leads: str) -> None:
    refusal = clear(serve.refused("lab", "--bind", bind, bind=None), 1, "--bind", leads)
    assert "SUN_LEN" not in refusal.text and "os error" not in refusal.text
    clear(serve.refused("lab", "--check-config", "--bind", bind, bind=None), 1, leads)


@pytest.mark.parametrize(
    ("words", "leads"),
    [
        (["--reload-dir", "src"], "--reload-extra-file"),
        (["--http2"], "HTTP/2"),
        (["--interface", "asgi"], "-k asgi"),
        (["--log-config", "log.yaml"], "logconfig_dict"),
        (["--log-config", "log.json"], "--log-config-json"),
        (["--blocking-threads", "4"], "--threads"),
        (["--workers-max-rss", "400"], "--max-requests"),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else None,
)
def test_an_option_of_another_server_is_refused_with_what_to_use(serve: Serve, words: list[str], leads: str) -> None:
    refusal = serve.refused("lab", *words)
    assert refusal.code in (1, 2)
    clear(refusal, refusal.code, words[0], "hint: ", leads)


def test_a_variable_of_another_server_is_pointed_out(serve: Serve) -> None:
    server = serve("lab", env={"UVICORN_WORKERS": "3", "GRANIAN_PORT": "1", "UVICORN_NONSENSE": "1"})
    server.wait_log(r"\[WARNING\] UVICORN_WORKERS is not read by Oxicorn: use WEB_CONCURRENCY or --workers")
    server.wait_log(r"\[WARNING\] GRANIAN_PORT is not read by Oxicorn: use PORT or --port")
    assert "NONSENSE" not in server.log


def test_a_second_application_is_one_word_too_many(serve: Serve) -> None:
    clear(serve.refused("lab", "extra"), 2, "extra is one word too many: the application is lab")


@better
def test_an_attribute_that_is_not_there(serve: Serve, write) -> None:
    write("shop.py", "def application(environ, start_response):\n    return []\n")
    refusal = clear(serve.refused("shop:aplication", cwd=serve.folder), 4, "aplication")
    assert "application" in refusal.text.replace("aplication", ""), "the nearest is suggested"


@better
def test_an_exception_while_importing_shows_the_users_frames(serve: Serve, write) -> None:
    write("shop.py", "import models\napplication = None\n")
    write("models.py", "def connect():\n    raise RuntimeError('no database')\n\nconnect()\n")
    refusal = serve.refused("shop", cwd=serve.folder)
    assert refusal.code == 3
    assert "RuntimeError: no database" in refusal.text
    for place in ('shop.py", line 1', 'models.py", line 4', 'models.py", line 2'):
        assert place in refusal.text
    foreign(refusal, "shop.py", "models.py")


@better
def test_a_syntax_error_in_the_application(serve: Serve, write) -> None:
    write("shop.py", "def application(:\n")
    refusal = serve.refused("shop", cwd=serve.folder)
    assert refusal.code == 3
    assert "SyntaxError" in refusal.text and 'shop.py", line 1' in refusal.text
    foreign(refusal, "shop.py")


@parity
def test_a_missing_import_is_not_taken_for_a_missing_application(serve: Serve, write) -> None:
    write("shop.py", "import not_there\n")
    refusal = serve.refused("shop", cwd=serve.folder)
    assert refusal.code == 3
    assert "not_there" in refusal.text and 'shop.py", line 1' in refusal.text


@better
def test_a_port_that_is_taken(serve: Serve, write) -> None:
    """At once, before the application is imported, and with the holder's name."""
    write("imported.py", "import lab\nlab.mark('imported')\napplication = lab.application\n")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        begun = time.monotonic()
        refusal = serve.refused("imported", "--pythonpath", str(APPS), cwd=serve.folder, bind=f"127.0.0.1:{port}")
        clear(refusal, 1, f"127.0.0.1:{port}", "in use", str(os.getpid()))
        assert time.monotonic() - begun < 4
        assert Path("/proc/self/comm").read_text().strip() in refusal.text
    assert not serve.gates.marked("imported")


def test_a_port_that_needs_rights(serve: Serve) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may bind every port")
    clear(serve.refused("lab", bind="127.0.0.1:80"), 1, "127.0.0.1:80", "denied")


def test_an_address_that_is_not_ours(serve: Serve) -> None:
    clear(serve.refused("lab", bind="192.0.2.1:8000"), 1, "192.0.2.1:8000")


@parity
def test_an_error_log_that_cannot_be_written(serve: Serve) -> None:
    clear(serve.refused("lab", "--error-logfile", "/not/there/log"), 1, "/not/there/log")


ASGI = {
    "function": "async def application(scope, receive, send):\n    pass\n",
    "instance": (
        "class App:\n    async def __call__(self, scope, receive, send):\n        pass\napplication = App()\n"
    ),
}


@pytest.mark.parametrize("shape", ASGI)
def test_an_asgi_application_is_refused_clearly(serve: Serve, write, shape: str) -> None:
    """Where the operator chose a worker class for WSGI: never a stream of answers 500."""
    write("modern.py", ASGI[shape])
    refusal = serve.refused("modern", "-k", "sync", cwd=serve.folder)
    assert refusal.code in (1, 3, 4), refusal.text
    clear(refusal, refusal.code, "ASGI", "modern")


def test_worker_classes_that_come_later_say_so(serve: Serve) -> None:
    clear(serve.refused("lab", "-k", "tornado"), 1, "tornado")


@better(always=False)
def test_the_message_is_not_repeated_by_each_worker(serve: Serve, write) -> None:
    write("shop.py", "raise RuntimeError('no database')\n")
    refusal = serve.refused("shop", "-w", "4", cwd=serve.folder)
    assert refusal.code == 3
    assert refusal.text.count("RuntimeError: no database") <= 4


@better
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-k", "snyc"], "snyc"),
        (["--bind", "127.0.0.1:99999"], "99999"),
        (["--log-level", "loud"], "loud"),
    ],
    ids=["class", "address", "level"],
)
def test_check_config_finds_what_would_stop_the_server(serve: Serve, words: list[str], said: str) -> None:
    refusal = serve.refused("lab", "--check-config", *words, bind=None)
    assert refusal.code == 1
    assert said in refusal.text


@better
def test_check_config_looks_where_pythonpath_points(serve: Serve) -> None:
    checked = serve.refused("lab", "--check-config", "--pythonpath", str(APPS), cwd=serve.folder)
    assert checked.code == 0, checked.text
