"""The threads of a worker: those of the server that run views, and those of the application that outlive its end."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref

_log = logging.getLogger("gunicorn.error")

_serving: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
"""The server's own."""


def serve_here() -> None:
    """Note that the calling thread is one of the server's, which is no daemon to the application.

    Threads inherit that from those that start them. The interpreter has noted at the start of this one that it does not
    wait for it: where a worker leaves at once, its threads may be inside views.
    """
    thread = threading.current_thread()
    thread._daemonic = False  # type: ignore[attr-defined]
    _serving.add(thread)


def tell_of_those_that_stay(patience_s: float) -> None:
    """Name, after `patience_s`, the threads that the interpreter still waits for at its end."""
    if _staying():
        threading.Thread(target=_tell, args=(patience_s,), name="oxicorn-end", daemon=True).start()


def _staying() -> list[str]:
    here = threading.current_thread(), threading.main_thread()
    others = (thread for thread in threading.enumerate() if thread not in here and thread not in _serving)
    return [thread.name for thread in others if not thread.daemon]


def _tell(patience_s: float) -> None:
    time.sleep(patience_s)
    if names := _staying():
        _log.warning("Worker (pid:%d) waits for threads of the application: %s", os.getpid(), ", ".join(names))
