"""Gunicorn's loggers under their own names, writing where the server's own lines go.

The server formats and writes its lines in Rust. What hooks and applications log through Python ends
in the same file by the same write, so the two never mix within a line and both follow a reopening.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from typing import Any

from oxicorn import _oxicorn

LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


class ErrorLogHandler(logging.Handler):
    """A handler over the server's error log, whatever that is at the moment of writing."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record in one piece."""
        try:
            _oxicorn.write_log(record.levelno, self.format(record))
        except Exception:
            self.handleError(record)


class Logger:
    """What `server.log` and `worker.log` are: the error and access loggers behind one set of methods."""

    loglevel = logging.INFO
    error_fmt = r"%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = r"[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"

    def __init__(self, cfg: Any) -> None:
        """Set the two loggers up from the settings `cfg`."""
        self.error_log = logging.getLogger("gunicorn.error")
        self.error_log.propagate = False
        self.access_log = logging.getLogger("gunicorn.access")
        self.access_log.propagate = False
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg: Any) -> None:
        """Install the handlers and levels that `cfg` asks for, in place of earlier ones of ours."""
        self.cfg = cfg
        self.loglevel = LEVELS.get(str(cfg.loglevel).lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        handler = ErrorLogHandler()
        handler.setFormatter(logging.Formatter(self.error_fmt, self.datefmt))
        _replace_handler(self.error_log, handler)
        _replace_handler(self.access_log, self._access_handler(cfg.accesslog))

    def _access_handler(self, target: str | None) -> logging.Handler:
        if target is None:
            return logging.NullHandler()
        handler = (
            logging.StreamHandler(sys.stdout)
            if target == "-"
            # Watches the file, because the server reopens its own descriptor and tells nobody here.
            else logging.handlers.WatchedFileHandler(target)
        )
        handler.setFormatter(logging.Formatter(self.access_fmt))
        return handler

    def critical(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level CRITICAL."""
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level ERROR."""
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level WARNING."""
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level INFO."""
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level DEBUG."""
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level ERROR, with the traceback of the exception being handled."""
        kwargs.setdefault("exc_info", True)
        self.error_log.error(msg, *args, **kwargs)

    def log(self, lvl: int | str, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at a level given by its number or its name."""
        level = LEVELS.get(lvl.lower(), logging.INFO) if isinstance(lvl, str) else lvl
        self.error_log.log(level, msg, *args, **kwargs)


def _replace_handler(logger: logging.Logger, handler: logging.Handler) -> None:
    """Put `handler` where our earlier one was; handlers that others added stay."""
    for old in list(logger.handlers):
        if getattr(old, "_oxicorn", False):
            logger.removeHandler(old)
            old.close()
    handler._oxicorn = True  # type: ignore[attr-defined]
    logger.addHandler(handler)
