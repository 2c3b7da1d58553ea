"""`oxicorn top`: the live view in a real terminal, and its samples for scripts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Load, Serve, eventually
from harness.server import environment
from oxicorn import top

TMUX = shutil.which("tmux")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "control")


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "oxicorn", "top", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60, cwd=cwd)


def test_a_sample_for_scripts(serve: Serve, path: str) -> None:
    server = serve("lab", "-w", "2", "--control-socket", path, kind="gthread")
    workers = server.wait_workers(2)
    with server.connect() as wire:
        wire.request("/gate/here")
        serve.gates.wait_entered("here")
        done = run("-s", path, "--once", "--json", "-i", "0.5")
        assert done.returncode == 0, done.stderr
        sample = json.loads(done.stdout)
        assert sorted(worker["pid"] for worker in sample["workers"]) == sorted(workers)
        assert all(worker["rss_bytes"] > 1_000_000 for worker in sample["workers"])
        (request,) = sample["requests_in_flight"]
        assert (request["target"], request["phase"]) == ("/gate/here", "running")
        assert sample["requests_per_second"] == 0 and sample["p99_s"] is None
        shown = run("-s", path, "--once", "-i", "0.1").stdout
        assert "REQUESTS IN FLIGHT: 1, by age_s" in shown and "/gate/here" in shown
        serve.gates.open("here")
        assert wire.reply().status == 200


def test_rates_and_latencies_need_no_admin_listener(serve: Serve, path: str) -> None:
    server = serve("lab", "--control-socket", path, kind="gthread")
    with Load(server, clients=2) as load:
        eventually(lambda: load.total > 20)
        done = run("-s", path, "--once", "--json", "-i", "0.5")
    sample = json.loads(done.stdout)
    assert sample["requests_per_second"] > 0 and sample["p99_s"] > 0


def test_what_is_said_where_it_cannot_run(path: str, tmp_path: Path) -> None:
    assert "which server? -s PATH" in run().stderr
    assert "it needs a terminal; --once does not" in run("-s", path).stderr
    assert "No such file" in run("-s", path, "--once").stderr
    (tmp_path / "top.py").write_text("")
    done = run("-s", path, "--once", cwd=tmp_path)
    assert "to serve the module top of this directory, write top:application" in done.stderr


def test_the_name_of_an_application_is_no_command(serve: Serve, write: Callable[[str, str], Path]) -> None:
    write("top.py", "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'served']\n")
    assert serve("top:app", cwd=serve.folder).get().text == "served"


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 0, 0], 0.5, 0.05),
        ([10, 10, 0], 0.99, 0.198),
        ([0, 0, 5], 0.5, 0.2),
        ([1, 0, 1], 0.5, 0.1),
    ],
)
def test_quantiles_lie_within_their_buckets(counts: list[int], share: float, expected: float | None) -> None:
    assert top.quantile(counts, [0.1, 0.2], share) == expected


def test_nothing_of_a_client_reaches_the_terminal_unseen() -> None:
    assert top.clipped("GET /\x1b[2J\x07", 80) == "GET /\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"
    assert top.clipped("x" * 100, 10) == "x" * 9 + "\N{HORIZONTAL ELLIPSIS}"


class Screen:
    """A terminal of tmux."""

    def __init__(self, folder: Path, *command: str) -> None:
        self._tmux = [str(TMUX), "-S", str(folder / "tmux"), "-f", "/dev/null"]
        env = [f"{name}={value}" for name, value in environment().items()]
        self._run("new-session", "-d", "-x", "120", "-y", "30", "env", *env, *command)

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def text(self) -> str:
        return self._run("capture-pane", "-p")

    def wait(self, part: str) -> str:
        return eventually(
            lambda: (text := self.text()) and part in text and text, what=lambda: f"{part}:\n{self.text()}"
        )

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def ended(self) -> bool:
        done = subprocess.run([*self._tmux, "list-sessions"], capture_output=True, text=True, timeout=30)
        return done.returncode != 0

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, timeout=30, check=False)


@pytest.fixture
def screens(tmp_path: Path) -> Iterator[Callable[..., Screen]]:
    if not TMUX:
        pytest.skip("tmux is not installed")
    opened: list[Screen] = []

    def opens(*command: str) -> Screen:
        opened.append(Screen(tmp_path, *command))
        return opened[-1]

    yield opens
    for screen in opened:
        screen.close()


def test_the_live_view_in_a_terminal(serve: Serve, path: str, screens: Callable[..., Screen]) -> None:
    server = serve("lab", "-w", "2", "--control-socket", path, kind="gthread")
    workers = server.wait_workers(2)
    with server.connect() as one, server.connect() as other:
        one.request("/gate/one")
        serve.gates.wait_entered("one")
        screen = screens(sys.executable, "-m", "oxicorn", "top", "-s", path, "-i", "0.3")
        text = screen.wait("/gate/one")
        assert all(str(pid) in text for pid in workers) and "REQUESTS IN FLIGHT: 1, by age_s" in text
        other.request("/gate/other")
        text = screen.wait("/gate/other")
        assert text.index("/gate/one") < text.index("/gate/other")
        screen.press("r")
        text = screen.wait("by age_s reversed")
        assert text.index("/gate/other") < text.index("/gate/one")
        screen.press("s")
        screen.wait("by pid reversed")
        screen.press("Enter")
        screen.wait("in wait_at")
        screen.press("x")
        screen.wait("REQUESTS IN FLIGHT")
        serve.gates.open("one")
        serve.gates.open("other")
        assert one.reply().status == other.reply().status == 200
        eventually(lambda: "REQUESTS IN FLIGHT: 0" in screen.text())
        screen.press("q")
        eventually(screen.ended)
