"""Access lines in JSON that go through Python's `logging`: the objects that the server writes by itself otherwise."""

from __future__ import annotations

import json
import logging
import os
import re
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


#: Halves of surrogate pairs, and what readers of lines may divide them at.
UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")

#: The ids of a request, as attributes of a record.
ID_FIELDS = ("request_id", "trace_id", "span_id")


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


class Formatter(logging.Formatter):
    """Records as the objects that the server writes by itself otherwise."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        fields: dict[str, Any] = {"time": time, "level": record.levelname.lower(), "pid": record.process}
        try:
            fields["message"] = record.getMessage()
        except Exception:  # Arguments that do not fit are told as they are.
            fields["message"] = f"{record.msg} {record.args}"
        if record.exc_info and record.exc_info[0] is not None:
            kind = record.exc_info[0]
            fields["exception"] = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
            fields["traceback"] = self.formatException(record.exc_info)
        elif record.exc_text:
            fields["traceback"] = record.exc_text
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        fields |= {name: getattr(record, name) for name in ID_FIELDS if hasattr(record, name)}
        text = json.dumps(fields, default=str, ensure_ascii=False)
        return text if text.isascii() else UNSAFE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    digits = f"u{ord(found[0]):04x}"
    # Half a surrogate pair is no text, so its digits are shown.
    return f"\\\\{digits}" if "\ud800" <= found[0] <= "\udfff" else f"\\{digits}"
