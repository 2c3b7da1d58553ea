"""The commands of README, docs/, examples/ and deploy/ run as they are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from harness import Serve, run

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])

#: Commands that this suite does not run, and why.
ELSEWHERE = {
    "make run": "builds a release; `.ci/run` serves the same example",
    "make test": "runs this suite",
    "pip install .": "builds a release; `make build` installs the same package",
    "pip install /path/to/oxicorn": "the same",
    "systemctl reload shop": "needs systemd; test_systemd.py sends the signal that the unit has",
}

WSGI = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n"

#: What the pages suppose: a project of each name that they use.
PROJECT = {
    "hello.py": WSGI,
    "shop/__init__.py": "",
    "shop/wsgi.py": WSGI,
    "myproject/__init__.py": "",
    "myproject/wsgi.py": WSGI,
}


def commands(page: Path) -> list[str]:
    """The commands of a page's console blocks, without their comments."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^\$ (.*)$", "".join(blocks), flags=re.MULTILINE)
    return [re.sub(r"\s{2,}#.*", "", line).strip() for line in lines]


ALL = [(str(page.relative_to(ROOT)), command) for page in PAGES for command in commands(page)]
SERVED = [each for each in ALL if each[1].startswith("oxicorn ")]


def test_every_command_is_run_or_has_its_reason() -> None:
    assert len(SERVED) >= 5, "the pages have lost their commands"
    assert [each for each in ALL if each not in SERVED and each[1] not in ELSEWHERE] == []
    assert set(ELSEWHERE) <= {command for _, command in ALL}, "a reason for a command that no page has"


@pytest.mark.parametrize(("page", "command"), SERVED, ids=[f"{page}: {command}" for page, command in SERVED])
def test_a_command_runs_as_it_is_written(serve: Serve, write, page: str, command: str) -> None:
    for name, text in PROJECT.items():
        write(name, text)
    words = shlex.split(command)[1:]
    if {"-h", "--help", "--version", "--check-config", "--print-config", "--print-config=sources"} & set(words):
        said = run(*words, cwd=serve.folder)
        assert said.code == 0, said.text
        return
    # Only the address is another: several tests run at once.
    if "--bind" in words:
        at = words.index("--bind")
        del words[at : at + 2]
    server = serve(*words, cwd=serve.folder)
    assert server.get().text == "hello"
    assert server.stop() == 0
    assert "ERROR" not in server.log


def test_the_first_example_of_the_quick_start_is_served(serve: Serve, write) -> None:
    page = (ROOT / "docs" / "quickstart.md").read_text()
    [source] = re.findall(r"^```python\n# hello\.py\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    write("hello.py", source)
    assert serve("hello", cwd=serve.folder).get().text == "Hello!\n"


def test_the_conf_file_of_the_quick_start_is_read(serve: Serve, write) -> None:
    page = (ROOT / "docs" / "quickstart.md").read_text()
    [source] = re.findall(r"^```python\n# oxicorn\.conf\.py\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    write("hello.py", WSGI)
    write("oxicorn.conf.py", source)
    server = serve("hello", cwd=serve.folder)
    server.wait_log(r"worker \d+ is here")
    assert server.get().text == "hello"


@pytest.mark.parametrize("place", ["deploy/oxicorn.service", "deploy/Procfile", "deploy/Dockerfile"])
def test_the_command_of_a_deployment_is_fine(serve: Serve, write, place: str) -> None:
    for name, text in PROJECT.items():
        write(name, text)
    write("app.py", WSGI.replace("application", "app"))
    text = (ROOT / place).read_text().replace("\\\n", " ")
    if place.endswith("Dockerfile"):
        [listed] = re.findall(r"^CMD \[(.*)\]$", text, re.MULTILINE)
        words = re.findall(r'"([^"]*)"', listed)
    else:
        [line] = re.findall(r"^(?:ExecStart=\S*/|web: )oxicorn (.*)$", text, re.MULTILINE)
        words = shlex.split(line.replace("/run/shop", str(serve.folder)))
    said = run("--check-config", *words, cwd=serve.folder)
    assert (said.code, said.out) == (0, "configuration is fine\n"), said.text
    if place.endswith("service"):
        socket = f"{serve.folder}/web.sock"
        server = serve(*words, cwd=serve.folder, bind=None, ready=False)
        server.address = socket
        assert server.wait_ready().get().text == "hello"


def test_the_banner_is_the_one_that_the_quick_start_shows(tmp_path: Path) -> None:
    """But for the numbers that a start makes."""
    from harness.terminal import Terminal

    page = (ROOT / "docs" / "quickstart.md").read_text()
    [shown] = re.findall(r"^```text\n(oxicorn .*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "hello.py").write_text(WSGI)
    with Terminal("hello", "-b", "127.0.0.1:0", cwd=tmp_path) as terminal:
        terminal.wait_for("Ctrl+C to stop)\n")
        screen = re.sub(r"^.*workers run as root.*\n", "", terminal.text, flags=re.MULTILINE)

    def plain(text: str) -> str:
        return re.sub(r"[\d.]+", "N", text)

    assert plain(screen) == plain(shown)
