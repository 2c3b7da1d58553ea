"""Worker classes of the user's own that extend those with a loop of the server's: which of them can run."""

from __future__ import annotations

from typing import Any

from oxicorn.errors import AppError
from oxicorn.workers.ggevent import GeventWorker
from oxicorn.workers.gthread import ThreadWorker
from oxicorn.workers.sync import SyncWorker

_ALIASES: dict[type, str] = {SyncWorker: "sync", ThreadWorker: "gthread", GeventWorker: "gevent"}

_NEVER_CALLED = {
    *("accept", "check_config", "enqueue_req", "finish_request", "handle", "handle_error", "handle_request"),
    *(
        "get_thread_pool",
        "handle_winch",
        "init_signals",
        "is_parent_alive",
        "murder_keepalived",
        "notify",
        "on_client_socket_readable",
    ),
    *("run_for_multiple", "run_for_one", "set_accept_enabled", "wait"),
}
"""What Gunicorn's classes do themselves and Oxicorn does elsewhere: to override it would have no effect."""

_ADVICE = (
    "__init__, init_process, load_wsgi, run, handle_exit, handle_quit, handle_abort and handle_usr1 may be overridden; "
    "the hooks pre_request and post_request are called round every request"
)


def runs_as(found: Any, name: str) -> str:
    """Return the short name of the class that `found` extends, or raise `AppError` where it cannot run."""
    family = found.__mro__ if isinstance(found, type) else ()
    base = next((part for part in family if part in _ALIASES), None)
    if base is None:
        if any(part.__module__.startswith("gunicorn.workers.") for part in family):
            hint = (
                "Gunicorn is installed, and its class was imported before Oxicorn's: extend the one in oxicorn.workers"
            )
            raise AppError(f"{name} extends Gunicorn's own class", hint)
        hint = "choose sync, gthread, gevent or asgi, or extend SyncWorker, ThreadWorker or GeventWorker"
        raise AppError(f"{name} is a class that Oxicorn cannot run: it has a loop of its own", hint)
    own = {key for part in family[: family.index(base)] for key in vars(part)}
    if lost := sorted(own & _NEVER_CALLED):
        raise AppError(f"{name} overrides {', '.join(lost)}, which Oxicorn does not call", _ADVICE)
    if hasattr(found, "setup"):
        found.setup()
    return _ALIASES[base]
