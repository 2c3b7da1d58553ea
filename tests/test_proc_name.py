"""`--name` is what `ps` shows, with no other package; Gunicorn needs setproctitle for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import NAME, Serve, parity


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
