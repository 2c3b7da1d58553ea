"""A worker as hooks see it: the `worker` argument."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oxicorn._oxicorn import Controls


class WorkerTmp:
    """What stands where Gunicorn has a worker's heartbeat file."""

    def __init__(self, worker: Worker) -> None:
        """Answer for `worker`."""
        self._worker = worker

    def notify(self) -> None:
        """Start the worker's time-out anew."""
        self._worker.notify()

    def last_update(self) -> float:
        """Return now: there are no heartbeats that could be late."""
        return time.monotonic()


class Worker:
    """One worker process; the arbiter's copy of it knows no more than the pid, the age and the settings."""

    _controls: Controls | None = None
    """Of the server in this process, once it is there."""
    _natives: dict[str, Callable[[], None]]
    """What the methods do that a class of the user's own may override."""
    _max_requests: int | None = None
    _counted_from = 0

    def __init__(self, age: int, ppid: int, sockets: list[Any], app: Any, timeout: float, cfg: Any, log: Any) -> None:
        """Describe the worker `age` of the arbiter `ppid`."""
        self.age, self.ppid = age, ppid
        self.pid: int | str = "[booting]"
        self.sockets, self.app, self.timeout, self.cfg, self.log = sockets, app, timeout, cfg, log
        self._alive = True
        self.booted = self.aborted = False
        self.reloader = None
        self.tmp = WorkerTmp(self)
        self.wsgi: Callable[..., Any] | None = None

    def __str__(self) -> str:
        """Name the process."""
        return f"<Worker {self.pid}>"

    def init_process(self) -> None:
        """Boot and run: the whole life of the worker."""
        self._natives["init_process"]()

    def load_wsgi(self) -> None:
        """Import the application; `wsgi` is it then."""
        self._natives["load_wsgi"]()

    def run(self) -> None:
        """Serve until the end."""
        self._natives["run"]()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Finish what there is and leave (TERM)."""
        del sig, frame
        self._natives["SIGTERM"]()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Leave at once (INT, QUIT)."""
        del sig, frame
        self._natives["SIGQUIT"]()

    def handle_abort(self, sig: int, frame: Any) -> None:
        """Leave because the time is up (ABRT)."""
        del sig, frame
        self._natives["SIGABRT"]()

    def handle_usr1(self, sig: int, frame: Any) -> None:
        """Open the log files anew (USR1)."""
        del sig, frame
        self._natives["SIGUSR1"]()

    def _adopt(self, max_requests: int) -> None:
        """Note that the calling process is this worker, which shall be replaced after that many requests."""
        self.pid = os.getpid()
        self._max_requests = self._max_requests or max_requests or sys.maxsize

    @property
    def alive(self) -> bool:
        """Whether the worker is to go on. One that sets it to False is replaced as after `max_requests`."""
        return self._alive

    @alive.setter
    def alive(self, alive: bool) -> None:
        self._alive = alive
        if not alive and self._controls is not None:
            self._controls.recycle()

    @property
    def nr(self) -> int:
        """How many requests have come, counted towards `max_requests`."""
        return 0 if self._controls is None else self._controls.requests() - self._counted_from

    @nr.setter
    def nr(self, number: int) -> None:
        self._counted_from += self.nr - number
        self.max_requests = self.max_requests

    @property
    def max_requests(self) -> int:
        """After how many requests the worker is replaced, jitter applied; `sys.maxsize` is never."""
        return self._max_requests or self.cfg.max_requests or sys.maxsize

    @max_requests.setter
    def max_requests(self, number: int) -> None:
        self._max_requests = number
        if self._controls is not None:
            self._controls.set_max_requests(number + self._counted_from)

    def notify(self) -> None:
        """Start the time-out anew, from within a request that takes long on purpose."""
        if self._controls is not None:
            self._controls.notify()
