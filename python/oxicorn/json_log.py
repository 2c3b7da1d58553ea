"""Access lines in JSON that go through Python's `logging`: the objects that the server writes by itself otherwise."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

#: Names in the line, and the variables of the environ that they show.
VARIABLES = {
    "client": "REMOTE_ADDR",
    "method": "REQUEST_METHOD",
    "path": "PATH_INFO",
    "query": "QUERY_STRING",
    "protocol": "SERVER_PROTOCOL",
    "host": "HTTP_HOST",
    "referer": "HTTP_REFERER",
    "user_agent": "HTTP_USER_AGENT",
}


def line(resp: Any, environ: Mapping[str, Any], user: str | None, request_time: timedelta) -> str:
    """Return one request as a JSON object."""
    record: dict[str, Any] = {"time": datetime.now().astimezone().isoformat(timespec="milliseconds")}
    record |= {name: environ[variable] for name, variable in VARIABLES.items() if environ.get(variable) is not None}
    if user:
        record["user"] = user
    if scheme := environ.get("wsgi.url_scheme"):
        record["scheme"] = scheme
    status = str(resp.status).split(None, 1)[0]
    if status.isdigit() and status != "0":
        record["status"] = int(status)
    record |= {"bytes": getattr(resp, "sent", None) or 0, "seconds": request_time.total_seconds(), "pid": os.getpid()}
    return json.dumps(record, default=str)
