"""`--name` is what `ps` and `top` show."""

from __future__ import annotations

from pathlib import Path

from harness import Serve


def shown(pid: int) -> str:
    """The short name and the command line of a process, as `ps` has them."""
    folder = Path(f"/proc/{pid}")
    return (folder / "comm").read_text() + (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_the_name_is_that_of_the_option(serve: Serve) -> None:
    server = serve("lab", "--name", "webshop")
    [worker] = server.wait_workers(1)
    for pid, role in ((server.pid, "master"), (worker, "worker")):
        assert "webshop" in shown(pid).replace("--name webshop", ""), shown(pid)
        assert role in shown(pid), shown(pid)
