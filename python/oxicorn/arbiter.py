"""The arbiter as hooks see it: the `server` argument."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from oxicorn import _oxicorn

if TYPE_CHECKING:
    from oxicorn.app.base import BaseApplication
    from oxicorn.sock import Listener
    from oxicorn.workers.base import Worker


_NEVER_CALLED = {
    *("handle_chld", "handle_hup", "handle_int", "handle_quit", "handle_term", "handle_ttin", "handle_ttou"),
    *("handle_usr1", "handle_usr2", "handle_winch", "halt", "init_signals", "manage_workers", "maybe_promote_master"),
    *("murder_workers", "reap_workers", "reexec", "setup", "signal_chld", "spawn_worker", "spawn_workers", "start"),
    *("kill_worker", "kill_workers", "reload", "stop", "wait_for_signals", "wakeup"),
}
"""What Gunicorn's arbiter calls of itself and Oxicorn's does elsewhere: to override it would have no effect."""


class Arbiter:
    """The process that owns the listeners and the workers. The server keeps the attributes up to date."""

    WORKER_BOOT_ERROR = 3
    APP_LOAD_ERROR = 4
    SIGNALS = tuple(
        getattr(signal, f"SIG{name}")
        for name in ("HUP", "QUIT", "INT", "TERM", "TTIN", "TTOU", "USR1", "USR2", "WINCH")
    )
    SIG_NAMES: ClassVar = {number: number.name.removeprefix("SIG").lower() for number in SIGNALS}

    def __init__(self, app: BaseApplication) -> None:
        """Describe the arbiter of `app` that is, or will be, the calling process."""
        self.app, self.cfg = app, app.cfg
        self.log: Any = None
        self.pid = os.getpid()
        self._num_workers: int = self.cfg.workers
        self.worker_age = 0
        self.WORKERS: dict[int, Worker] = {}
        self.LISTENERS: list[Listener] = []

    def run(self) -> NoReturn:
        """Serve, and leave with the exit code of the arbiter or, in a worker, of that worker."""
        family = type(self).__mro__
        own = {name for part in family[: family.index(Arbiter)] for name in vars(part)}
        if lost := sorted(own & _NEVER_CALLED):
            raise RuntimeError(f"{type(self).__name__} overrides {', '.join(lost)}, which Oxicorn does not call")
        sys.exit(_oxicorn.serve(self.app))

    @property
    def num_workers(self) -> int:
        """How many workers there shall be. What is set here lasts until the next reload."""
        return self._num_workers

    @num_workers.setter
    def num_workers(self, number: int) -> None:
        # In a worker this object is a copy, as everything is.
        if os.getpid() == self.pid:
            for _ in range(abs(number - self._num_workers)):
                os.kill(self.pid, signal.SIGTTIN if number > self._num_workers else signal.SIGTTOU)

    @property
    def address(self) -> list[Any]:
        """The addresses that the settings ask for, as `socket` takes them."""
        return self.cfg.address

    @property
    def timeout(self) -> int:
        """After how many seconds without progress a worker is replaced."""
        return int(self.cfg.timeout)

    @property
    def proc_name(self) -> str:
        """The name that process titles show."""
        return self.cfg.proc_name

    @property
    def worker_class(self) -> Any:
        """The class of the workers."""
        return self.cfg.worker_class

    def signal(self, sig: int, frame: object = None) -> None:
        """Send the arbiter a signal."""
        del frame
        os.kill(self.pid, sig)

    def reload(self) -> None:
        """Read the settings again and replace the workers."""
        self.signal(signal.SIGHUP)

    def stop(self, graceful: bool = True) -> None:
        """End the server, at once where not `graceful`."""
        self.signal(signal.SIGTERM if graceful else signal.SIGQUIT)

    def kill_worker(self, pid: int, sig: int) -> None:
        """Send a worker a signal."""
        os.kill(pid, sig)

    def kill_workers(self, sig: int) -> None:
        """Send all workers a signal."""
        for pid in list(self.WORKERS):
            self.kill_worker(pid, sig)
