"""A worker as hooks see it: the `worker` argument."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


class Worker:
    """One worker process; the arbiter's copy of it knows no more than the pid, the age and the settings."""

    def __init__(self, age: int, ppid: int, cfg: Any, log: Any) -> None:
        """Describe the worker `age` of the arbiter `ppid`."""
        self.age = age
        self.ppid = ppid
        self.pid: int | str = "[booting]"
        self.cfg = cfg
        self.log = log
        self.timeout = cfg.timeout
        self.nr = 0
        self.alive = True
        self.booted = False
        self.aborted = False
        self.app: Any = None
        self.sockets: list[str] = list(cfg.bind)
        self.wsgi: Callable[..., Any] | None = None

    def __str__(self) -> str:
        """Name the process."""
        return f"<Worker {self.pid}>"

    def adopt(self) -> None:
        """Note that the calling process is this worker."""
        self.pid = os.getpid()
