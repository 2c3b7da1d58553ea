"""Defaults < environment < conf file < GUNICORN_CMD_ARGS < OXICORN_CMD_ARGS < command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import APPS, NAME, Serve, free_port, parity

PATHS = ("--pythonpath", str(APPS))


def setting(serve: Serve, name: str, *options: str, env: dict[str, str] | None = None) -> str:
    """The value that `--print-config` shows; its checks need an application."""
    env = {"PYTHONPATH": str(APPS), **(env or {})}
    shown = serve.refused("lab", *options, "--print-config", cwd=serve.folder, env=env, bind=None)
    assert shown.code == 0, shown.text
    [value] = [
        line.partition("=")[2].strip() for line in shown.text.splitlines() if line.partition("=")[0].strip() == name
    ]
    return value


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "gunicorn.conf.py"


def test_each_source_wins_over_the_one_before(serve: Serve, conf: Path) -> None:
    env: dict[str, str] = {}
    assert setting(serve, "workers", env=env) == "1"
    env["WEB_CONCURRENCY"] = "2"
    assert setting(serve, "workers", env=env) == "2"
    conf.write_text("workers = 3\n")
    assert setting(serve, "workers", env=env) == "3"
    env["GUNICORN_CMD_ARGS"] = "--workers 4"
    assert setting(serve, "workers", env=env) == "4"
    env["OXICORN_CMD_ARGS"] = "-w5"
    assert setting(serve, "workers", env=env) == "5"
    assert setting(serve, "workers", "--workers=6", env=env) == "6"


@parity
def test_the_number_of_workers_is_really_that(serve: Serve) -> None:
    serve("lab", env={"WEB_CONCURRENCY": "2"}).wait_workers(2)


@parity
def test_port_of_the_environment(serve: Serve) -> None:
    port = free_port()
    server = serve("lab", env={"PORT": str(port)}, bind=None, ready=False)
    server.address = ("127.0.0.1", port)
    server.wait_ready()
    assert f"http://0.0.0.0:{port}" in server.log


@parity
def test_bind_of_the_command_line_replaces_the_files(serve: Serve, conf: Path) -> None:
    conf.write_text("bind = ['127.0.0.1:1', 'unix:/not/there']\n")
    server = serve("lab", *PATHS, cwd=serve.folder)
    assert server.get().text == "Hello, world!"


def test_oxicorn_conf_py_is_found(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "oxicorn.conf.py").write_text("workers = 2\n")
    serve("lab", *PATHS, cwd=tmp_path).wait_workers(2)


@parity
def test_a_file_may_be_named(serve: Serve, write) -> None:
    path = write("settings/production.py", "workers = 7\n")
    assert setting(serve, "workers", "-c", str(path)) == "7"
    assert setting(serve, "workers", "--config", f"file:{path}") == "7"
    assert setting(serve, "workers", env={"GUNICORN_CMD_ARGS": f"-c {path}"}) == "7"


@parity
def test_a_module_may_be_named(serve: Serve, write) -> None:
    write("settings/__init__.py", "")
    write("settings/production.py", "workers = 7\n")
    assert setting(serve, "workers", "-c", "python:settings.production") == "7"


@parity
def test_a_file_is_python(serve: Serve, conf: Path) -> None:
    conf.write_text(
        "import multiprocessing, os\n"
        "from pathlib import Path\n"
        "helper = [1, 2, 3]\n"
        "def function(): pass\n"
        "workers = len(helper)\n"
        "chdir = os.path.dirname(os.path.abspath(__file__))\n"
        "timeout = int(os.environ['LAB_TIMEOUT'])\n"
    )
    env = {"LAB_TIMEOUT": "44"}
    assert setting(serve, "workers", env=env) == "3"
    assert setting(serve, "timeout", env=env) == "44"


@parity
def test_its_name_in_it_is_a_text(serve: Serve, conf: Path) -> None:
    conf.write_text("assert type(__file__) is str\nassert __name__ == '__config__'\nworkers = len(__file__)\n")
    assert int(setting(serve, "workers")) > 0


@parity
def test_import_gunicorn_works_in_it(serve: Serve, conf: Path) -> None:
    conf.write_text("import gunicorn\nassert gunicorn.__version__\ngunicorn.SERVER_SOFTWARE = 'hidden'\nworkers = 2\n")
    assert setting(serve, "workers") == "2"


@parity
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("timeout = '0x10'", "16"),
        ("timeout = 5", "5"),
        ("timeout = True", "1"),
    ],
)
def test_numbers_as_gunicorn_reads_them(serve: Serve, conf: Path, text: str, value: str) -> None:
    conf.write_text(text + "\n")
    assert setting(serve, "timeout") == value


@parity
@pytest.mark.parametrize(
    ("text", "value"),
    [("preload_app = 'true'", "True"), ("preload_app = True", "True"), ("pass", "False")],
)
def test_booleans_as_gunicorn_reads_them(serve: Serve, conf: Path, text: str, value: str) -> None:
    conf.write_text(text + "\n")
    assert setting(serve, "preload_app") == value


@parity
def test_sendfile_may_be_true_in_a_file(serve: Serve, conf: Path) -> None:
    """Of Gunicorn any value, True as well, switches it off."""
    conf.write_text("sendfile = True\n")
    assert setting(serve, "sendfile") == "True"


@parity
def test_unique_prefixes_are_understood(serve: Serve) -> None:
    assert setting(serve, "keepalive", "--keep", "10") == "10"
    assert setting(serve, "threads", "--thr=3") == "3"


@parity
def test_a_path_argument_of_cmd_args_is_split_like_a_shell(serve: Serve) -> None:
    env = {"GUNICORN_CMD_ARGS": "--name 'two words' --timeout=9"}
    assert setting(serve, "proc_name", env=env) == "two words"
    assert setting(serve, "timeout", env=env) == "9"


@parity
def test_env_reaches_the_application(serve: Serve) -> None:
    server = serve("lab", "-e", "LAB_COLOUR=red=ish", "--env", "LAB_SHAPE=")
    assert server.get("/variable/LAB_COLOUR").text == "red=ish"
    assert server.get("/variable/LAB_SHAPE").text == ""


@parity
def test_check_config_does_not_serve(serve: Serve) -> None:
    checked = serve.refused("lab", "--check-config")
    assert checked.code == 0
    assert "Listening" not in checked.text
    failed = serve.refused("no_such_module", "--check-config")
    assert failed.code != 0
    assert "no_such_module" in failed.text


@parity
def test_print_config_shows_every_setting(serve: Serve) -> None:
    shown = serve.refused("lab", "--print-config", bind=None)
    names = [line.split("=")[0].strip() for line in shown.out.splitlines() if " = " in line]
    assert names == sorted(names)
    for name in ("bind", "workers", "worker_class", "timeout", "graceful_timeout", "keepalive"):
        assert name in names


@parity
@pytest.mark.parametrize(("left", "code"), [("7", 7), ("'no DATABASE_URL'", 1), ("", 0)])
def test_a_conf_file_may_end_the_start(serve: Serve, conf: Path, left: str, code: int) -> None:
    conf.write_text(f"import sys\nsys.exit({left})\n")
    refusal = serve.refused("lab", "-c", str(conf))
    assert refusal.code == code
    assert "Traceback" not in refusal.text
    if code == 1:
        assert left.strip("'") in refusal.text


@pytest.mark.parametrize("name", ["python:no_such_module", "python:json.no_such_module", "python:no_such.module"])
def test_a_module_that_does_not_exist(serve: Serve, name: str) -> None:
    refusal = serve.refused("lab", "-c", name)
    assert refusal.code == 1
    assert refusal.text == f"error: the conf file {name} does not exist: there is no module of this name\n"


def test_a_module_that_imports_what_does_not_exist(serve: Serve, write) -> None:
    write("shop_conf.py", "import no_such_module\n")
    refusal = serve.refused("lab", "-c", "python:shop_conf", cwd=serve.folder)
    assert refusal.code == 1
    assert "No module named 'no_such_module'" in refusal.text and "does not exist" not in refusal.text


def test_version_and_help(serve: Serve) -> None:
    version = serve.refused("--version", bind=None)
    assert version.code == 0 and "oxicorn" in version.out.lower() and "0." in version.out
    assert serve.refused("-v", bind=None).out == version.out
    described = serve.refused("--help", bind=None)
    assert described.code == 0
    for flag in ("--workers", "--bind", "--header-timeout", "--max-requests-jitter", "--preload"):
        assert flag in described.out
    assert serve.refused("-h", bind=None).code == 0


@parity
def test_the_file_of_chdir_is_not_read(serve: Serve, tmp_path: Path) -> None:
    """It is looked for where the server was started."""
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "gunicorn.conf.py").write_text("workers = 3\n")
    assert setting(serve, "workers", "--chdir", str(tmp_path / "away")) == "1"


@parity
def test_variables_of_the_command_line_replace_the_files(serve: Serve, conf: Path) -> None:
    conf.write_text("raw_env = ['LAB_COLOUR=red', 'LAB_SHAPE=round']\n")
    server = serve("lab", *PATHS, "-e", "LAB_COLOUR=blue", cwd=serve.folder)
    assert server.get("/variable/LAB_COLOUR").text == "blue"
    assert server.get("/variable/LAB_SHAPE").text == ""


@parity
def test_an_application_in_cmd_args_does_not_count(serve: Serve) -> None:
    refusal = serve.refused(env={"GUNICORN_CMD_ARGS": "lab"})
    assert refusal.code in (1, 2)
    assert "application" in refusal.text.lower()


@parity
def test_a_file_without_its_ending_is_read_with_a_warning(serve: Serve, write) -> None:
    path = write("production.cfg", "workers = 7\n")
    env = {"PYTHONPATH": str(APPS)}
    shown = serve.refused("lab", "-c", str(path), "--print-config", cwd=serve.folder, env=env, bind=None)
    assert "production.cfg" in shown.text
    assert any(line.split() == ["workers", "=", "7"] for line in shown.out.splitlines())


@parity
def test_server_software_is_in_the_environment(serve: Serve) -> None:
    assert serve("lab").get("/variable/SERVER_SOFTWARE").text.startswith(f"{NAME}/")


@parity
def test_threads_make_a_threaded_worker(serve: Serve) -> None:
    server = serve("lab", "--threads", "2")
    assert "Using worker: gthread" in server.log
    assert server.get("/environ").json()["wsgi.multithread"] is True
