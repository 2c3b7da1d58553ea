"""`--print-config` says what Gunicorn's says, but for what the migration page names."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from harness import run

ROOT = Path(__file__).parent.parent
CASES = json.loads((Path(__file__).parent / "recorded" / "print_config.json").read_text())

#: What Gunicorn does not have, and so cannot be compared.
OWN = set(
    re.findall(r"^### `(\w+)`\n\n[^#]*?^- Oxicorn's own\.", (ROOT / "docs/reference/settings.md").read_text(), re.M)
)

#: What is shown otherwise: other defaults, and the values of variables not at all. The migration page names each.
DIFFERENT = {"keepalive", "http_protocols", "control_socket", "raw_env"}


def values(lines: list[str]) -> dict[str, str]:
    return dict(re.fullmatch(r"(\w+) += ?(.*)", line).groups() for line in lines)


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case["arguments"])[:30])
def test_the_values_are_gunicorns(tmp_path: Path, case: dict) -> None:
    (tmp_path / "app.py").write_text("def application(environ, start_response):\n    return []\n")
    if case["conf"]:
        (tmp_path / "gunicorn.conf.py").write_text(case["conf"])
    env = {"HOME": "/home/someone", "PWD": str(tmp_path), **case["environment"]}
    said = run(*case["arguments"], "--print-config", cwd=tmp_path, env=env)
    assert said.code == 0, said.text
    lines = [line.replace(str(tmp_path), "HERE") for line in said.out.splitlines()]
    ours, theirs = values(lines), values(case["lines"])
    for name, word, number in [("user", "UID", os.geteuid()), ("group", "GID", os.getegid())]:
        theirs[name] = theirs[name].replace(word, str(number))
    if "user" in case["conf"] and os.geteuid() != 0:
        pytest.skip("only root may become root")
    assert lines == sorted(lines)
    assert set(ours) - set(theirs) == OWN
    differing = {name for name in theirs if ours[name] != theirs[name]}
    assert differing <= DIFFERENT, {name: (ours[name], theirs[name]) for name in differing}
    # The names stand in a column of one width, that of the longest.
    assert len({line.index("=") for line in lines}) == 1


def test_what_differs_stands_on_the_migration_page() -> None:
    page = (ROOT / "docs/migrate/gunicorn.md").read_text()
    assert [name for name in DIFFERENT if name.replace("_", " ") not in page and name not in page] == []
    assert "--print-config" in page


def test_the_conf_file_that_was_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def application(environ, start_response):\n    return []\n")

    def named(*words: str) -> str:
        return run("app", *words, "--print-config", cwd=tmp_path).err.splitlines()[0]

    assert named() == "conf file: none"
    for name in ("gunicorn.conf.py", "oxicorn.conf.py"):
        (tmp_path / name).write_text("workers = 3\n")
        assert named() == f"conf file: {tmp_path}/{name}"
    (tmp_path / "other.py").write_text("")
    for given, shown in [("other.py", f"{tmp_path}/other.py"), ("python:other", "python:other")]:
        assert named("-c", given) == f"conf file: {shown}"


def test_each_value_has_its_source(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def application(environ, start_response):\n    return []\n")
    (tmp_path / "gunicorn.conf.py").write_text("timeout = 7\nworkers = 2\ndef on_exit(server): pass\n")
    env = {"WEB_CONCURRENCY": "9", "PORT": "9000", "GUNICORN_CMD_ARGS": "--threads 3", "OXICORN_CMD_ARGS": "--preload"}
    said = run("app", "--print-config=sources", "--keep-alive", "4", cwd=tmp_path, env=env)
    assert said.code == 0, said.text
    sources = dict(re.fullmatch(r"(\w+) += .*? +# (.+)", line).groups() for line in said.out.splitlines())
    expected = {
        "timeout": "gunicorn.conf.py",
        "workers": "gunicorn.conf.py",
        "on_exit": "gunicorn.conf.py",
        "bind": "PORT in the environment",
        "threads": "GUNICORN_CMD_ARGS",
        "preload_app": "OXICORN_CMD_ARGS",
        "keepalive": "command line",
        "backlog": "default",
        "post_fork": "default",
    }
    assert {name: sources[name] for name in expected} == expected
    plain = run("app", "--print-config", "--keep-alive", "4", cwd=tmp_path, env=env).out.splitlines()
    without = [re.sub(r" +# .*", "", line) for line in said.out.splitlines() if not line.startswith("print_")]
    assert without == [line.rstrip() for line in plain if not line.startswith("print_")]


def test_the_values_of_variables_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def application(environ, start_response):\n    return []\n")
    (tmp_path / "gunicorn.conf.py").write_text("raw_env = ['PASSWORD=hunter2', 'TOKEN=swordfish=']\n")
    for word in ("--print-config", "--print-config=sources"):
        said = run("app", word, cwd=tmp_path)
        assert said.code == 0, said.text
        assert "PASSWORD" in said.out and "TOKEN" in said.out
        assert "hunter2" not in said.text and "swordfish" not in said.text
    wrong = run("app", "--env", "PASSWORD=hunter2", "--env", "nonsense", "--check-config", cwd=tmp_path)
    assert wrong.code == 1
    assert "hunter2" not in wrong.text
