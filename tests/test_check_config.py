"""`--check-config` finds what would keep the server from serving, and leaves nothing behind."""

from __future__ import annotations

import os
import re
from pathlib import Path
from signal import SIGHUP

import pytest
from harness import Serve, run

APP = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


#: Options, variables of the environment, and the one line that is said.
MISTAKES = {
    "an unknown worker class": ("-k nope", {}, "--worker-class: 'nope' is not valid: expected sync, gthread, gevent"),
    "an address": ("-b foo:bar", {}, "--bind: 'foo:bar' is not valid: expected HOST:PORT"),
    "a level": ("--log-level loud", {}, "--log-level: 'loud' is not valid: expected debug, info, warning, error"),
    "a certificate": ("--certfile none.pem", {}, "--certfile: 'none.pem'"),
    "a user": ("-u nosuchuser", {}, "--user: 'nosuchuser' cannot be used: there is no such user"),
    "a group": ("-g nosuchgroup", {}, "--group: 'nosuchgroup' cannot be used: there is no such group"),
    "a directory": ("--chdir none", {}, "--chdir: 'none' cannot be used: no such directory"),
    "the error log's folder": (
        "--log-file no/e.log",
        {},
        "--error-logfile: 'no/e.log' cannot be used: no such directory: no",
    ),
    "the access log's folder": (
        "--access-logfile no/a.log",
        {},
        "--access-logfile: 'no/a.log' cannot be used: no such",
    ),
    "the pid file's folder": ("-p no/pid", {}, "--pid: 'no/pid' cannot be used: no such directory: no"),
    "a socket's folder": ("-b unix:no/socket", {}, "no/socket: no such directory: no (from the command line)"),
    "a file for logging": ("--log-config none.ini", {}, "logconfig: none.ini: it cannot be read: No such file"),
    "a variable without a value": ("-e NAME", {}, "--env: 'NAME' is not valid: expected NAME=VALUE"),
    "a number in the environment": ("", {"WEB_CONCURRENCY": "abc"}, "WEB_CONCURRENCY: 'abc' is not valid: expected a"),
    "a port in the environment": ("", {"PORT": "abc"}, "PORT: 'abc' is not valid: expected a port, 0 to 65535"),
    "arguments in the environment": (
        "",
        {"GUNICORN_CMD_ARGS": "--log-level loud"},
        "(from GUNICORN_CMD_ARGS)",
    ),
    "an application": ("--wsgi-app", {}, "is not an option"),
}


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found(folder: Path, case: tuple[str, dict[str, str], str]) -> None:
    options, environment, sentence = case
    before = sorted(folder.iterdir())
    said = run("--check-config", "app", *options.split(), cwd=folder, env=environment)
    assert said.code == (2 if "is not an option" in sentence else 1), said.text
    [line, *hints] = said.err.splitlines()
    assert line.startswith("error: ") and sentence in line, said.err
    assert all(hint.startswith("  hint: ") for hint in hints), said.err
    assert said.out == ""
    assert sorted(folder.iterdir()) == before


def test_a_wrong_name_in_the_environments_arguments_is_told_with_its_source(folder: Path) -> None:
    said = run("--check-config", "app", cwd=folder, env={"GUNICORN_CMD_ARGS": "--wrokers 3"})
    assert said.code == 2
    assert said.err == "error: --wrokers is not an option (from GUNICORN_CMD_ARGS)\n  hint: did you mean --workers?\n"


#: Options, and what the start says with them; the check has to find it.
REFUSED = {
    "a format that is cut off": (["--access-logfile", "-", "--access-logformat", "%(h)s %"], "access_log_format: "),
    "a format without its letter": (
        ["--access-logfile", "-", "--access-logformat", "%(h) %(s)s"],
        "access_log_format: ",
    ),
    "an address of another machine": (["-b", "192.0.2.1:8000"], "this machine has no such address"),
    "a name that is none": (["-b", "no-such-host.invalid:80"], "cannot listen on no-such-host.invalid:80"),
    "a descriptor that is closed": (["-b", "fd://77"], "cannot listen on fd://77"),
    "a socket that is a file": (["-b", "unix:app.py"], "the file exists and is not a socket"),
    "no application": (["-w", "1"], "no application was named"),
    "a logger class": (["--logger-class", "no.such.Logger"], "logger_class"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_check_refuses_what_the_start_refuses(folder: Path, case: str) -> None:
    options, sentence = REFUSED[case]
    words = options if case == "no application" else ["app", *options]
    if "-b" not in words:
        words += ["-b", "127.0.0.1:0"]
    started = run(*words, cwd=folder)
    checked = run("--check-config", *words, cwd=folder)
    assert started.code != 0
    assert sentence in started.err, started.err
    assert checked.code == 1, checked.text
    assert sentence in checked.err, checked.err
    assert checked.out == ""


def test_every_mistake_is_told(folder: Path) -> None:
    (folder / "conf.py").write_text(
        "workers = 'many'\ntimeout = 'soon'\nbind = '8000'\ndef post_fork(server): pass\ndef on_exit(): pass\n"
    )
    said = run("--check-config", "-c", "conf.py", "app", cwd=folder, env={"WEB_CONCURRENCY": "x"})
    assert said.code == 1
    for each in ("WEB_CONCURRENCY: 'x'", "workers: 'many'", "timeout: 'soon'", "bind: '8000'", "post_fork", "on_exit"):
        assert f"error: {each}" in said.err, said.err
    lines = said.err.splitlines()
    assert all(line.startswith(("error: ", "  hint: ")) for line in lines), said.err


def test_mistakes_of_the_machine_are_all_told(folder: Path) -> None:
    options = (
        "--chdir=none",
        "-unosuchuser",
        "-pno/pid",
        "--log-file=no/log",
        "-b192.0.2.1:80",
        "--access-logformat=%",
    )
    said = run("--check-config", "app", *options, cwd=folder)
    assert said.code == 1
    for each in ("--chdir: ", "--user: ", "--pid: ", "--error-logfile: ", "cannot listen on ", "access_log_format: "):
        assert f"error: {each}" in said.err, said.err


def test_a_configuration_that_is_fine_is_said_to_be(folder: Path) -> None:
    said = run("--check-config", "app", "-b", "127.0.0.1:0", cwd=folder)
    assert (said.code, said.out) == (0, "configuration is fine\n")
    assert said.err.replace("warning: workers run as root: --user names whom they shall run as\n", "") == ""


#: Options, what is said of them, and as whom; none of it keeps the server from starting.
HURTS = {
    "reload in public": ("--reload -b 0.0.0.0:0", "reload is for development, and the server listens on 0.0.0.0:0", ""),
    "everybody is trusted": (
        "--forwarded-allow-ips * -b [::]:0",
        "forwarded_allow_ips is *, so any client of [::]:0",
        "",
    ),
    "root": ("-w 1", "workers run as root: --user names whom they shall run as", "root"),
    "many workers": ("-w 4000", f"4000 workers share {len(os.sched_getaffinity(0))} CPUs", ""),
    "memory": ("-w 100000", " MiB of memory, which is less than a small application needs", ""),
    "a daemon that is mute": ("-D", "daemon without a log: what the server has to say is lost", ""),
}
HARMLESS = {
    "reload at home": "--reload -b localhost:0",
    "a unix socket": "--reload --forwarded-allow-ips * -b unix:s",
    "proxies by name": "-b 0.0.0.0:0 --forwarded-allow-ips 10.0.0.1",
    "a few workers": "-w 2",
    "a daemon with a log": "-D --error-logfile e.log",
    "a daemon with syslog": "-D --log-syslog",
}


@pytest.mark.parametrize("case", HURTS)
def test_what_hurts_is_told(folder: Path, case: str) -> None:
    options, sentence, user = HURTS[case]
    if user == "root" and os.geteuid() != 0:
        pytest.skip("only root runs workers as root")
    said = run("--check-config", "app", *options.split(), cwd=folder)
    assert said.code == 0, said.text
    assert len(re.findall(f"^warning: .*{re.escape(sentence)}", said.err, re.MULTILINE)) == 1, said.err


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_harmless_is_not_told(folder: Path, case: str) -> None:
    said = run("--check-config", "app", *HARMLESS[case].split(), cwd=folder)
    assert said.code == 0, said.text
    assert re.findall("warning: (?!workers run as root)", said.err) == [], said.err


def test_a_warning_is_told_once(serve: Serve, folder: Path) -> None:
    server = serve("app", "-b", "0.0.0.0:0", "--forwarded-allow-ips", "*", cwd=folder)
    server.wait_log("Ready: ")
    server.signal(SIGHUP)
    server.wait_log("Ready: ", times=2)
    assert server.log.count("forwarded_allow_ips is *") == 1
    assert server.whole_err.count("workers run as root") == (1 if os.geteuid() == 0 else 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start workers as another user")
def test_root_with_a_user_is_not_warned(folder: Path) -> None:
    said = run("--check-config", "json:dumps", "-u", "nobody", cwd=folder)
    assert "run as root" not in said.err


def test_a_server_that_runs_with_the_configuration_is_no_mistake(serve: Serve, folder: Path) -> None:
    server = serve("app", cwd=folder)
    host, port = server.address
    said = run("--check-config", "app", "-b", f"{host}:{port}", cwd=folder)
    assert said.code == 0, said.text
    assert f"warning: {host}:{port} is already in use by pid {server.pid}" in said.err
    server = serve("app", cwd=folder, bind=f"unix:{folder}/s")
    said = run("--check-config", "app", "-b", f"unix:{folder}/s", cwd=folder)
    assert said.code == 0 and "is already in use" in said.err, said.text
    assert server.get().status == 200


@pytest.mark.parametrize(
    ("conf", "sentence"),
    [
        ("def post_fork(server): pass", "post_fork: a function with the parameters (server) is not valid"),
        ("on_exit = 3", "on_exit: a value of type int is not valid: expected a function with 1 parameter"),
        ("workers = 'many'", "workers: 'many' is not valid: expected a whole number, 0 or more (from conf.py)"),
        ("timeout = [30]", "timeout: [30] is not valid: expected a number of seconds, 0 or more (from conf.py)"),
    ],
)
def test_a_mistake_in_the_conf_file_is_found(folder: Path, conf: str, sentence: str) -> None:
    (folder / "conf.py").write_text(conf + "\n")
    said = run("--check-config", "app", "-c", "conf.py", cwd=folder)
    assert said.code == 1
    assert sentence in said.err


def test_what_is_doubtful_is_told_and_passes(folder: Path) -> None:
    (folder / "conf.py").write_text(
        "wrokers = 3\nworker_tmp_dir = '/dev/shm'\nworkers = 0\nreload = preload_app = True\n"
    )
    said = run("--check-config", "app", "-c", "conf.py", cwd=folder)
    assert said.code == 0, said.text
    for sentence in [
        "conf.py: wrokers is not a setting; did you mean workers?",
        "worker_tmp_dir has no effect here: workers report through shared memory",
        "workers is 0: nothing is served until the signal TTIN adds a worker",
        "preload_app wins over reload",
    ]:
        assert f"warning: {sentence}" in said.err
    assert not list(Path.cwd().glob("__pycache__/conf*"))


def test_pythonpath_and_the_conf_files_folder_are_seen(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "elsewhere.py").write_text(APP)
    assert run("--check-config", "elsewhere", cwd=folder).code == 1
    assert run("--check-config", "elsewhere", "--pythonpath", "nothing,sub", cwd=folder).code == 0
    assert run("--check-config", "elsewhere", "--chdir", "sub", cwd=folder).code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_found(folder: Path) -> None:
    said = run("--check-config", "app", "-p", "/pid", cwd=folder)
    assert said.code == 1
    assert "--pid: '/pid' cannot be used: Permission denied" in said.err
