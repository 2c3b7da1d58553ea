"""`--name` is what `ps` shows, with no other package; Gunicorn needs setproctitle for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP

import pytest
from harness import NAME, Serve, eventually, parity


def title(pid: int) -> str:
    """The command line of a process, which the title is written over."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()


@parity
@pytest.mark.parametrize(("options", "name"), [(("--name", "webshop"), "webshop"), ((), "lab")])
def test_the_title_has_the_role_and_the_name(serve: Serve, options: tuple[str, ...], name: str) -> None:
    server = serve("lab", *options)
    [worker] = server.wait_workers(1)
    assert title(server.pid) == f"{NAME}: master [{name}]"
    assert title(worker) == f"{NAME}: worker [{name}]"


def test_a_reload_shows_a_new_name(serve: Serve, write: Callable[[str, str], Path]) -> None:
    conf = write("conf.py", "default_proc_name = 'before'\n")
    server = serve("lab", "-c", str(conf))
    assert title(server.pid) == f"{NAME}: master [before]"
    conf.write_text("proc_name = 'after'\n")
    server.signal(SIGHUP)
    eventually(lambda: title(server.pid) == f"{NAME}: master [after]", what=lambda: title(server.pid))
    eventually(
        lambda: [title(pid) for pid in server.workers()] == [f"{NAME}: worker [after]"],
        what=lambda: str([title(pid) for pid in server.workers()]),
    )


def test_the_name_does_not_make_python_warn_of_threads(serve: Serve) -> None:
    """From CPython 3.12 on; a process with a niceness looked as if it had threads."""
    server = serve("lab", "-w", "2", prefix=("nice", "-n", "5"), env={"PYTHONWARNINGS": "default"})
    server.wait_log("Ready: ")
    assert "multi-threaded" not in server.log
