"""The arbiter as hooks see it: the `server` argument."""

from __future__ import annotations

import os
from typing import Any

from oxicorn.workers.base import Worker


class Arbiter:
    """The process that owns the listeners and the workers. The server keeps the attributes up to date."""

    def __init__(self, cfg: Any, log: Any) -> None:
        """Describe the arbiter that is the calling process."""
        self.cfg = cfg
        self.log = log
        self.app: Any = None
        self.pid = os.getpid()
        self.num_workers: int = cfg.workers
        self.worker_age = 0
        self.WORKERS: dict[int, Worker] = {}

    @property
    def address(self) -> list[str]:
        """The addresses that the settings ask for."""
        return list(self.cfg.bind)

    @property
    def LISTENERS(self) -> list[str]:
        """The addresses listened on, as text. The sockets are not Python objects."""
        return self.address

    @property
    def proc_name(self) -> str:
        """The name that process titles show."""
        return str(self.cfg.proc_name or self.cfg.default_proc_name)
