"""The logger class that sends metrics: what `server.log` and `worker.log` are where `statsd_host` is set.

The server measures requests, workers and its own log lines without Python. Here is what hooks and applications
send, and the methods that subclasses know.
"""

from __future__ import annotations

import logging
from typing import Any

from oxicorn import _oxicorn
from oxicorn.glogging import Logger


class Statsd(Logger):
    """A logger that counts its lines and sends what is logged with `extra={"metric": …, "value": …, "mtype": …}`."""

    def critical(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level CRITICAL, and count."""
        super().critical(msg, *args, **kwargs)
        self.increment("gunicorn.log.critical", 1)

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level ERROR, and count."""
        super().error(msg, *args, **kwargs)
        self.increment("gunicorn.log.error", 1)

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level WARNING, and count."""
        super().warning(msg, *args, **kwargs)
        self.increment("gunicorn.log.warning", 1)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level ERROR, with the traceback of the exception being handled, and count."""
        super().exception(msg, *args, **kwargs)
        self.increment("gunicorn.log.exception", 1)

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level INFO, and send the metric in `extra`."""
        self.log(logging.INFO, msg, *args, **kwargs)

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level DEBUG, and send the metric in `extra`."""
        self.log(logging.DEBUG, msg, *args, **kwargs)

    def log(self, lvl: int | str, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at a level given by its number or its name, and send the metric in `extra`; an empty `msg` is no line."""
        extra = kwargs.get("extra") or {}
        name, value, kind = extra.get("metric"), extra.get("value"), extra.get("mtype")
        send = {"gauge": self.gauge, "counter": self.increment, "histogram": self.histogram, "timer": self.timer}
        if name and value is not None and kind in send:
            send[kind](name, value)
        if msg:
            super().log(lvl, msg, *args, **kwargs)

    def gauge(self, name: str, value: object) -> None:
        """Tell the present value."""
        _oxicorn.send_metric(f"{name}:{value}|g")

    def increment(self, name: str, value: object, sampling_rate: float = 1.0) -> None:
        """Add to a counter."""
        _oxicorn.send_metric(f"{name}:{value}|c|@{sampling_rate}")

    def decrement(self, name: str, value: object, sampling_rate: float = 1.0) -> None:
        """Take from a counter."""
        _oxicorn.send_metric(f"{name}:-{value}|c|@{sampling_rate}")

    def timer(self, name: str, value: object) -> None:
        """Tell a duration in milliseconds."""
        _oxicorn.send_metric(f"{name}:{value}|ms")

    def histogram(self, name: str, value: object) -> None:
        """Tell one of the values that there are."""
        _oxicorn.send_metric(f"{name}:{value}|h")
