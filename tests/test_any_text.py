"""Text that is not Unicode passes through unharmed: arguments, paths, variables, and strings with lone surrogates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import KINDS, Serve, eventually, run
from harness.server import environment

LATIN = os.fsdecode("größe".encode("latin-1"))
SHOWN = r"gr\udcf6\udcdfe"
#: As in a container without locales, where nothing helps Python to guess.
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

APPLICATION = """\
import os, sys

def application(environ, start_response):
    text = ascii([os.environ.get("GIVEN"), os.path.basename(os.getcwd()), sys.argv[1:3]]).encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]
"""

RAISES = """\
import logging

def application(environ, start_response):
    if environ["PATH_INFO"] == "/log":
        logging.getLogger("gunicorn.error").error("logged %s", "a\\udcffb")
        environ["wsgi.errors"].write("written a\\udcffb\\n")
        environ["x.given"] = "a\\udcffb"
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]
    raise ValueError("raised a\\udcffb")
"""


def project(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    (made / "app.py").write_text(APPLICATION)
    return made


@pytest.mark.parametrize("locale", [PLAIN, {}], ids=["C", "C.UTF-8"])
@pytest.mark.parametrize("how", ["cwd", "chdir"])
@pytest.mark.parametrize("name", ["größe", pytest.param(LATIN, id="latin")])
def test_a_directory_of_any_name(serve: Serve, tmp_path: Path, locale: dict[str, str], how: str, name: str) -> None:
    folder = project(tmp_path, name)
    options = () if how == "cwd" else ("--chdir", str(folder))
    server = serve("app", *options, cwd=folder if how == "cwd" else tmp_path, env=locale)
    expected = os.fsencode(name).decode("ascii" if locale else "utf-8", "surrogateescape")
    assert ascii(expected) in server.get().text


@pytest.mark.parametrize("option", ["--access-logfile", "--error-logfile", "--pid"])
def test_a_relative_name_below_such_a_directory(serve: Serve, tmp_path: Path, option: str) -> None:
    folder = project(tmp_path, "größe")
    server = serve("app", option, "name", cwd=folder, env=PLAIN)
    server.get()
    eventually(lambda: (folder / "name").read_text())


@pytest.mark.parametrize("locale", [PLAIN, {}], ids=["C", "C.UTF-8"])
@pytest.mark.parametrize("value", ["größe", pytest.param(LATIN, id="latin")])
def test_a_variable_of_any_value(serve: Serve, tmp_path: Path, locale: dict[str, str], value: str) -> None:
    folder = project(tmp_path, "plain")
    server = serve("app", "--env", f"GIVEN={value}", cwd=folder, env=locale)
    expected = os.fsencode(value).decode("ascii" if locale else "utf-8", "surrogateescape")
    assert ascii(expected) in server.get().text


def test_a_variable_that_the_server_was_started_with(serve: Serve, tmp_path: Path) -> None:
    folder = project(tmp_path, "plain")
    (folder / "gunicorn.conf.py").write_text("raw_env = ['GIVEN=new']\n")
    server = serve("app", cwd=folder, env={"GIVEN": LATIN, "OTHER": LATIN})
    assert "'new'" in server.get().text
    (folder / "gunicorn.conf.py").write_text("workers = 2\n")
    server.signal(__import__("signal").SIGHUP)
    eventually(lambda: SHOWN in server.get().text.replace("\\\\", "\\"), what=lambda: server.log)


@pytest.mark.parametrize("locale", [PLAIN, {}], ids=["C", "C.UTF-8"])
def test_files_of_any_name(serve: Serve, tmp_path: Path, locale: dict[str, str]) -> None:
    folder = project(tmp_path, LATIN)
    conf = folder / f"{LATIN}.py"
    conf.write_text("raw_env = ['GIVEN=from the conf file']\n")
    names = {option: folder / f"{LATIN}{option}" for option in ("--access-logfile", "--error-logfile", "--pid")}
    words = [word for option, path in names.items() for word in (option, str(path))]
    server = serve("app", "-c", str(conf), *words, cwd=folder, env=locale, bind=f"unix:{tmp_path / LATIN}-sock")
    assert "from the conf file" in server.get().text
    eventually(lambda: "GET / HTTP" in names["--access-logfile"].read_text())
    assert names["--pid"].read_text() == f"{server.pid}\n"
    assert "Listening at" in names["--error-logfile"].read_text()
    assert server.stop() == 0
    assert not names["--pid"].exists()


def test_values_of_a_conf_file(serve: Serve, tmp_path: Path) -> None:
    folder = project(tmp_path, "plain")
    conf = folder / "conf.py"
    conf.write_text(
        "proc_name = 'gr\\udcf6\\udcdfe'\nraw_env = ['GIVEN=gr\\udcf6\\udcdfe', 'OTHER=\\ud800']\nenv = '\\ud800'\n"
    )
    server = serve("app", "-c", str(conf), cwd=folder, ready=False)
    refused = server.wait_exit()
    assert refused == 1
    assert r"\ud800" in server.log and "Traceback" not in server.log, "no variable can hold it"
    conf.write_text("proc_name = 'gr\\udcf6\\udcdfe'\nraw_env = ['GIVEN=gr\\udcf6\\udcdfe']\n")
    server = serve("app", "-c", str(conf), cwd=folder)
    assert ascii(LATIN) in server.get().text
    titles = Path(f"/proc/{server.pid}/cmdline").read_bytes()
    assert b"gr\xf6\xdfe" in titles or b"oxicorn: master" not in titles


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["stderr", "file", "logging"])
def test_log_lines_and_tracebacks(serve: Serve, tmp_path: Path, kind: str, where: str) -> None:
    (tmp_path / "raises.py").write_text(RAISES)
    log = tmp_path / "log"
    options = {
        "stderr": (),
        "file": ("--error-logfile", str(log), "--access-logfile", str(log), "--access-logformat", "x=%({x.given}e)s"),
        "logging": ("--error-logfile", str(log), "--logger-class", "mine.Mine", "--pythonpath", str(tmp_path)),
    }[where]
    (tmp_path / "mine.py").write_text(
        "from gunicorn.glogging import Logger\nclass Mine(Logger):\n"
        "    def error(self, *a, **k):\n        super().error(*a, **k)\n"
    )
    server = serve("raises", *options, kind=kind, cwd=tmp_path, probe="/log")
    assert server.get("/raise").status == 500

    def text() -> str:
        return server.log if where == "stderr" else log.read_text()

    for line in (r"logged a\udcffb", r"written a\udcffb", r"raised a\udcffb"):
        eventually(lambda line=line: line in text(), what=text)
    if where == "file":
        eventually(lambda: r"x=a\udcffb" in text(), what=text)
    assert "\ufffd" not in text()


@pytest.mark.parametrize("options", [(), ("--check-config",), ("--preload",), ("-k", "asgi")], ids=" ".join)
def test_an_application_that_raises_while_it_is_imported(
    serve: Serve, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "app.py").write_text("raise ValueError('raised a\\udcffb')\n")
    refusal = serve.refused("app", *options, cwd=tmp_path)
    assert r"ValueError: raised a\udcffb" in refusal.text


def test_a_hook_that_raises(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("def when_ready(server):\n    raise ValueError('raised a\\udcffb')\n")
    refusal = serve.refused("lab", "-c", str(tmp_path / "conf.py"))
    assert r"raised a\udcffb" in refusal.text
    (tmp_path / "conf.py").write_text("import sys\nsys.exit('left a\\udcffb')\n")
    assert r"left a\udcffb" in serve.refused("lab", "-c", str(tmp_path / "conf.py")).text


@pytest.mark.parametrize(
    "arguments",
    [["--bind", LATIN], ["--workers", LATIN], [f"--{LATIN}"], [f"{LATIN}:app"], ["-c", f"/{LATIN}"], ["app", LATIN]],
)
def test_a_mistake_is_shown_escaped(tmp_path: Path, arguments: list[str]) -> None:
    project(tmp_path, "plain")
    refusal = (
        run(*arguments, "--bind", "127.0.0.1:0", cwd=tmp_path / "plain")
        if arguments[0] != "--bind"
        else run("app", *arguments, cwd=tmp_path / "plain")
    )
    assert refusal.code != 0
    assert SHOWN in refusal.text and "Traceback" not in refusal.text, refusal.text


def test_lines_for_a_terminal_without_umlauts(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from gunicorn.glogging import Logger\nclass Mine(Logger):\n    def now(self):\n        return 'größe'\n"
    )
    options = (
        "--logger-class",
        "mine.Mine",
        "--pythonpath",
        str(tmp_path),
        "--access-logfile",
        "-",
        "--access-logformat",
        "%(t)s",
    )
    server = serve("lab", *options, env=PLAIN)
    server.get()
    eventually(lambda: r"gr\xf6\xdfe" in server.log, what=lambda: server.log)


ODD = """\
import sys, types

class Odd(types.ModuleType):
    def __getattribute__(self, name):
        raise {error}

class Liar:
    __file__ = property(lambda self: (_ for _ in ()).throw(RuntimeError("asked")))

    @property
    def __class__(self):
        raise RuntimeError("asked")

sys.modules["odd"] = Odd("odd")
sys.modules["liar"] = Liar()
sys.modules["none"] = None
sys.modules["number"] = 7
sys.modules["surrogate"] = types.ModuleType("surrogate")
sys.modules["surrogate"].__file__ = "/\\ud800\\0.py"

def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.parametrize(
    "error", ["RuntimeError('asked')", "KeyError(1)", "SystemExit(3)", "KeyboardInterrupt", "BaseException"]
)
def test_reload_starts_whatever_there_is_among_the_modules(serve: Serve, tmp_path: Path, error: str) -> None:
    path = tmp_path / "app.py"
    path.write_text(ODD.format(error=error))
    server = serve("app", "--reload", cwd=tmp_path)
    assert server.get().text == "ok"
    path.write_text(ODD.format(error=error).replace("ok", "no"))
    eventually(lambda: server.get().text == "no", what=lambda: server.log)


def test_arguments_of_any_bytes_reach_the_application(serve: Serve, tmp_path: Path) -> None:
    folder = project(tmp_path, "plain")
    server = serve("app", "--name", LATIN, cwd=folder)
    assert SHOWN in server.get().text.replace("\\\\", "\\") or "--name" in server.get().text


def test_a_program_that_embeds_the_server_reads_them(tmp_path: Path) -> None:
    code = "from oxicorn.config import Config; p = Config().parser(); print(ascii(p.parse_args().proc_name))"
    said = subprocess.run(
        [sys.executable, "-c", code, "--name", LATIN], capture_output=True, text=True, env=environment(), check=False
    )
    assert said.stdout.strip() == ascii(LATIN), said.stderr
