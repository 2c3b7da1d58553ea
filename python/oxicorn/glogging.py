"""Gunicorn's logger class, for hooks to log with and for conf files to subclass.

Where Python's `logging` is not configured, the server formats and writes its lines itself, and what Python code
logs ends in the same file by the same write. Where it is, `route` finds out, and the server's own lines
come here.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import importlib
import inspect
import json
import logging
import logging.config
import os
import pkgutil
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from oxicorn import _oxicorn, imports, json_log
from oxicorn.errors import SettingError
from oxicorn.syslog import SYSLOG_FACILITIES, SyslogHandler, parse_syslog_address

__all__ = ["CONFIG_DEFAULTS", "SYSLOG_FACILITIES", "Logger", "SafeAtoms", "loggers", "parse_syslog_address"]

CONFIG_DEFAULTS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        name: {"level": "INFO", "handlers": [handler], "propagate": True, "qualname": name}
        for name, handler in [("gunicorn.error", "error_console"), ("gunicorn.access", "console")]
    },
    "handlers": {
        name: {"class": "logging.StreamHandler", "formatter": "generic", "stream": f"ext://sys.{stream}"}
        for name, stream in [("console", "stdout"), ("error_console", "stderr")]
    },
    "formatters": {
        "generic": {
            "format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
            "datefmt": "[%Y-%m-%d %H:%M:%S %z]",
            "class": "logging.Formatter",
        }
    },
}
"""What `logconfig_dict` and `logconfig_json` leave out."""

_ESCAPES = (
    {code: f"\\x{code:02x}" for code in [*range(32), *range(127, 160)]}
    # Marks of direction and separators of lines, which reorder or break what a viewer shows.
    | {
        code: f"\\u{code:04x}"
        for code in [0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
    }
    | {ord(mark): f"\\{mark}" for mark in '"\\'}
)


class SafeAtoms(dict[str, Any]):
    """Atoms that can stand in a line: what is not known is `-`, and no value can break out of its quotes.

    Only what a line asks for is escaped, which is a fifth of what there is.
    """

    def __getitem__(self, name: str) -> Any:
        """Return an atom; names in braces may be in any case."""
        value = self.get(name.lower() if name.startswith("{") else name, "-")
        return value.translate(_ESCAPES) if isinstance(value, str) else value


def loggers() -> list[logging.Logger]:
    """Return all loggers that have a name."""
    return [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]


class ErrorLogHandler(logging.Handler):
    """A handler over the server's error log, as it is at the moment of writing."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record in one piece."""
        try:
            _oxicorn.write_log(record.levelno, self.format(record))
        except Exception:
            self.handleError(record)


class _ReportsOnce(logging.StreamHandler):  # type: ignore[type-arg]
    """Says once that its lines are lost, and once that they are not any more."""

    lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        lost = self.lost
        super().emit(record)
        if lost and self.lost == lost:
            self.lost = 0
            _oxicorn.say(logging.INFO, f"{self} can be written again; {lost} lines were lost")

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            return super().handleError(record)
        if not self.lost:
            _oxicorn.say(logging.ERROR, f"{self} cannot be written: {error}; lines are lost until it can")
        self.lost += 1
        return None

    def __str__(self) -> str:
        return getattr(self, "baseFilename", "") or str(getattr(self.stream, "name", self.stream))


class _StreamHandler(_ReportsOnce):
    """A handler over a standard stream, whose encoding is the locale's: what that does not have is escaped."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return text if text.isascii() else text.encode(encoding, "backslashreplace").decode(encoding)


class _FileHandler(_ReportsOnce, logging.FileHandler):
    def _open(self) -> Any:
        file = open(  # noqa: SIM115
            self.baseFilename, self.mode, encoding="utf-8", errors="backslashreplace", opener=_oxicorn.open_log
        )
        # The workers have to open it anew.
        _oxicorn.give_away(file)
        return file


@contextlib.contextmanager
def _careful_handlers() -> Iterator[None]:
    """Have the file handlers that are made meanwhile open their files as the server opens its own.

    Each keeps the function `open` that `logging` has when the handler is made.
    """
    vars(logging)["open"] = functools.partial(open, opener=_oxicorn.open_log)
    try:
        yield
    finally:
        del vars(logging)["open"]


def check_format(layout: str, atoms: type[SafeAtoms] = SafeAtoms) -> list[str]:
    """Return the atoms that do not exist, or raise `SettingError` where `layout` is no format."""
    try:
        layout % atoms({})
    except ValueError as error:
        raise SettingError(f"access_log_format: {layout!r}: {error}") from None
    except TypeError:
        pass  # `%(D)d` is a number only in a line.
    return _oxicorn.unknown_atoms(layout) or []


class Logger:
    """What `server.log` and `worker.log` are: the error and access loggers behind one set of methods."""

    LOG_LEVELS: ClassVar[dict[str, int]] = {
        "critical": logging.CRITICAL,
        "error": logging.ERROR,
        "warning": logging.WARNING,
        "info": logging.INFO,
        "debug": logging.DEBUG,
    }
    loglevel = logging.INFO
    error_fmt = r"%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = r"[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"
    atoms_wrapper_class: Any = SafeAtoms

    def __init__(self, cfg: Any) -> None:
        """Set the two loggers up from the settings `cfg`."""
        self.error_log = logging.getLogger("gunicorn.error")
        self.error_log.propagate = False
        self.access_log = logging.getLogger("gunicorn.access")
        self.access_log.propagate = False
        self.error_handlers: list[logging.Handler] = []
        self.access_handlers: list[logging.Handler] = []
        self.logfile: Any = None
        self.lock = threading.Lock()
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg: Any) -> None:
        """Install the handlers and levels that `cfg` asks for, in place of earlier ones; a reload does so again."""
        configured = vars(self).get("_configured", False)
        for log in (self.error_log, self.access_log):
            # What an earlier configuration of `logging` put there goes as well, even where none follows it.
            for handler in list(log.handlers):
                if getattr(handler, "_gunicorn", False) or configured:
                    log.removeHandler(handler)
                    handler.close()
            if configured:
                log.propagate = False
        self._configured = _configures(cfg)
        self.cfg = cfg
        self.loglevel = self.LOG_LEVELS.get(str(cfg.loglevel).lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        is_json = getattr(cfg, "error_log_format", "text") == "json"
        shape = json_log.Formatter() if is_json else logging.Formatter(self.error_fmt, self.datefmt)
        self._set_handler(self.error_log, cfg.errorlog, shape)
        if cfg.accesslog is not None:
            self._set_handler(self.access_log, cfg.accesslog, logging.Formatter(self.access_fmt), stream=sys.stdout)
        if cfg.syslog:
            self._set_syslog_handler(self.error_log, cfg, self.syslog_fmt, "error")
            if not cfg.disable_redirect_access_to_syslog:
                self._set_syslog_handler(self.access_log, cfg, self.syslog_fmt, "access")
        _configure(cfg)
        if self.access_log_enabled and _inherits(self, _ACCESS_METHODS):
            self._check_format(str(cfg.access_log_format))

    def _check_format(self, layout: str) -> None:
        for name in check_format(layout, self.atoms_wrapper_class):
            self.warning("access_log_format: there is no atom %%(%s)s; it is shown as -", name)

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
        level = self.LOG_LEVELS.get(lvl.lower(), logging.INFO) if isinstance(lvl, str) else lvl
        self.error_log.log(level, msg, *args, **kwargs)

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> dict[str, Any]:
        """Return what an access line can be made of, by the names that `access_log_format` uses."""
        microseconds = request_time // timedelta(microseconds=1)
        seconds, rest = divmod(microseconds, 1_000_000)
        sent = getattr(resp, "sent", None)
        atoms = {
            "h": environ.get("REMOTE_ADDR", "-"),
            "l": "-",
            "u": self._get_user(environ) or "-",
            "t": self.now(),
            "r": f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {environ['SERVER_PROTOCOL']}",
            "s": resp.status.split(None, 1)[0] if isinstance(resp.status, str) else resp.status,
            "m": environ.get("REQUEST_METHOD"),
            "U": environ.get("PATH_INFO"),
            "q": environ.get("QUERY_STRING"),
            "H": environ.get("SERVER_PROTOCOL"),
            "b": "-" if sent is None else str(sent),
            "B": sent,
            "f": environ.get("HTTP_REFERER", "-"),
            "a": environ.get("HTTP_USER_AGENT", "-"),
            "T": seconds,
            "D": microseconds,
            "M": microseconds // 1000,
            "L": f"{seconds}.{rest:06d}",
            "p": f"<{os.getpid()}>",
        }
        for fields, kind in [(getattr(req, "headers", req), "i"), (resp.headers, "o"), (environ, "e")]:
            pairs = fields.items() if hasattr(fields, "items") else fields
            atoms.update({f"{{{name.lower()}}}{kind}": value for name, value in pairs})
        return atoms

    @property
    def access_log_enabled(self) -> bool:
        """Whether the settings ask for an access log."""
        cfg = self.cfg
        return bool(cfg.accesslog or _configures(cfg) or (cfg.syslog and not cfg.disable_redirect_access_to_syslog))

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Log one request.

        The server calls this where a subclass overrides it, or where the line has to go through `logging`.
        """
        if (uvicorn := self._uvicorn_access()) is not None:
            peer = ":".join(str(environ[name]) for name in ("REMOTE_ADDR", "REMOTE_PORT") if environ.get(name))
            version = str(environ.get("SERVER_PROTOCOL", "")).rpartition("/")[2]
            status = int(str(resp.status).split(None, 1)[0])
            target = environ.get("RAW_URI", "-")
            # The message and the arguments are uvicorn's, whose formatter takes them apart.
            uvicorn.info('%s - "%s %s HTTP/%s" %d', peer, environ.get("REQUEST_METHOD", "-"), target, version, status)
            return
        if not self.access_log_enabled:
            return
        try:
            if self.cfg.access_log_format == "json":
                self.access_log.info("%s", json_log.line(resp, environ, self._get_user(environ), request_time))
                return
            atoms = self.atoms_wrapper_class(self.atoms(resp, req, environ, request_time))
            self.access_log.info(self.cfg.access_log_format, atoms)
        except Exception:
            self.error(traceback.format_exc())

    def _uvicorn_access(self) -> logging.Logger | None:
        """Return uvicorn's logger for access lines where an application has configured it, and nobody another place."""
        own = self.cfg.accesslog or _configures(self.cfg) or type(self).access is not Logger.access
        return None if own or not _is_configured("uvicorn.access") else logging.getLogger("uvicorn.access")

    def now(self) -> str:
        """Return the time as the common log format has it."""
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def reopen_files(self) -> None:
        """Open the files of all handlers anew, for log rotation; the server has reopened its own."""
        for handler in self._file_handlers():
            with handler.lock or contextlib.nullcontext():
                try:
                    fresh = handler._open()
                except OSError as error:
                    _oxicorn.say(
                        logging.ERROR, f"{handler.baseFilename} cannot be opened again: {error.strerror or error}"
                    )
                    continue
                stale, handler.stream = handler.stream, fresh
                with contextlib.suppress(OSError):
                    stale.close()

    def close_on_exec(self) -> None:
        """Keep the files of all handlers from programs that this process executes."""
        for handler in self._file_handlers():
            os.set_inheritable(handler.stream.fileno(), False)

    def _file_handlers(self) -> list[Any]:
        every = [handler for log in [logging.root, *loggers()] for handler in log.handlers]
        return [one for one in dict.fromkeys(every) if isinstance(one, logging.FileHandler) and one.stream]

    def _get_gunicorn_handler(self, log: logging.Logger) -> logging.Handler | None:
        return next((handler for handler in log.handlers if getattr(handler, "_gunicorn", False)), None)

    def _set_handler(self, log: logging.Logger, output: str | None, fmt: Any, stream: Any = None) -> None:
        """Have `log` write to `output`, in place of where the server's handler wrote before."""
        if earlier := self._get_gunicorn_handler(log):
            log.removeHandler(earlier)
        if output is None:
            return
        handler: logging.Handler
        if log is self.error_log and output == self.cfg.errorlog:
            handler = ErrorLogHandler()
        elif output == "-":
            handler = _StreamHandler(stream)
        else:
            try:
                handler = _FileHandler(output)
            except OSError as error:
                setting = "errorlog" if log is self.error_log else "accesslog"
                raise SettingError(f"{setting}: {output} cannot be opened: {error.strerror or error}") from None
        handler.setFormatter(fmt)
        vars(handler).update(_gunicorn=True, _output=output)
        log.addHandler(handler)

    def _set_syslog_handler(self, log: logging.Logger, cfg: Any, fmt: str, name: str) -> None:
        """Have `log` write to syslog as well, under the program name `gunicorn.PREFIX.NAME`."""
        facility = SYSLOG_FACILITIES.get(str(cfg.syslog_facility).lower())
        if facility is None:
            known = ", ".join(SYSLOG_FACILITIES)
            raise SettingError(f"syslog_facility: {cfg.syslog_facility!r} is not valid: expected one of {known}")
        try:
            socktype, address = parse_syslog_address(cfg.syslog_addr)
        except RuntimeError as error:
            expected = "udp://HOST:PORT, tcp://HOST:PORT or unix://PATH"
            raise SettingError(f"syslog_addr: {cfg.syslog_addr!r}: {error}: expected {expected}") from None
        prefix = cfg.syslog_prefix or str(cfg.proc_name or cfg.default_proc_name).replace(":", ".")
        handler = SyslogHandler(address, facility, socktype)
        handler.setFormatter(logging.Formatter(f"gunicorn.{prefix}.{name}: {fmt}"))
        vars(handler).update(_gunicorn=True)
        log.addHandler(handler)

    def _get_user(self, environ: dict[str, Any]) -> str | None:
        """Return the user of basic authentication."""
        scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            return base64.b64decode(credentials.strip()).split(b":", 1)[0].decode()
        except (ValueError, binascii.Error) as error:
            self.debug("Couldn't get username: %s", error)
            return None


def _configures(cfg: Any) -> bool:
    return bool(cfg.logconfig_dict or cfg.logconfig_json or cfg.logconfig)


def _configure(cfg: Any) -> None:
    """Configure Python's `logging` from the strongest of the three settings."""
    try:
        if cfg.logconfig_dict:
            setting = "logconfig_dict"
            with _careful_handlers():
                logging.config.dictConfig({**CONFIG_DEFAULTS, **cfg.logconfig_dict})
        elif cfg.logconfig_json:
            setting = f"logconfig_json: {cfg.logconfig_json}"
            text = Path(cfg.logconfig_json).read_text(encoding="utf-8")
            with _careful_handlers():
                logging.config.dictConfig({**CONFIG_DEFAULTS, **json.loads(text)})
        elif cfg.logconfig:
            setting = f"logconfig: {cfg.logconfig}"
            path = Path(cfg.logconfig)
            defaults = {"__file__": str(path), "here": str(path.parent)}
            with path.open(encoding="utf-8") as file, _careful_handlers():
                logging.config.fileConfig(file, defaults=defaults, disable_existing_loggers=False)
    except Exception as error:
        reasons = [str(part) or type(part).__name__ for part in (error, error.__cause__) if part is not None]
        if isinstance(error, OSError) and error.strerror:
            reasons = [f"it cannot be read: {error.strerror}"]
        elif isinstance(error, KeyError):
            reasons = [f"{error} is missing"]
        raise SettingError(f"{setting}: {': '.join(reasons)}") from error


def make(cfg: Any) -> Any:
    """Make the logger that the setting `logger_class` asks for."""
    logger_class = _load_class(cfg.logger_class)
    if logger_class is Logger and cfg.statsd_host is not None:
        logger_class = importlib.import_module("oxicorn.instrument.statsd").Statsd
    return logger_class(cfg)


def _load_class(given: Any) -> Any:
    found = given
    if given in ("gunicorn.glogging.Logger", "simple", None):
        found = Logger
    elif isinstance(given, str):
        try:
            found = _entry_point(given) if given.startswith("egg:") else pkgutil.resolve_name(given)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise SettingError(f"logger_class: {given!r} cannot be imported: {reason}") from error
    if callable(found) and not inspect.isclass(found):
        found = found()
    if not inspect.isclass(found) or not callable(getattr(found, "setup", None)):
        raise SettingError(f"logger_class: {given!r} is not a logger class: expected one like gunicorn.glogging.Logger")
    return found


def _entry_point(uri: str) -> Any:
    distribution, _, name = uri.removeprefix("egg:").partition("#")
    # A project may name a distribution as one that is installed.
    path = [*imports.installed_path(), *sys.path]
    found = next(iter(metadata.distributions(name=distribution, path=path)), None)
    if found is None:
        raise metadata.PackageNotFoundError(distribution)
    for point in found.entry_points:
        if point.group == "gunicorn.loggers" and point.name == (name or "main"):
            return point.load()
    raise LookupError(f"{distribution} has no gunicorn.loggers entry point {name or 'main'}")


def refused(log: Any, peer: str, status: int, sent: int, took: timedelta) -> None:
    """Log a request that could not be read, of which little is known."""
    unknown = ("REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL", "PATH_INFO", "QUERY_STRING")
    response = SimpleNamespace(status=str(status), status_code=status, headers=[], sent=sent)
    environ = dict.fromkeys(unknown, "-") | {"REMOTE_ADDR": peer}
    log.access(response, SimpleNamespace(headers=[]), environ, took)


class _Forward(logging.Handler):
    """Hands the server's lines to one of uvicorn's loggers, which an application has configured."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def emit(self, record: logging.LogRecord) -> None:
        logger = logging.getLogger(self._name)
        if logger.isEnabledFor(record.levelno):
            copy = logging.makeLogRecord(vars(record))
            copy.name = self._name
            logger.handle(copy)


def _is_configured(*names: str) -> bool:
    """Whether one of these loggers has been given handlers or a level; to ask for a logger configures nothing."""
    known = logging.root.manager.loggerDict
    found = [logger for name in names if isinstance(logger := known.get(name), logging.Logger)]
    return any(logger.handlers or logger.level or logger.disabled for logger in found)


def _join_uvicorn(log: Logger) -> None:
    """Let the server's lines take the ways of uvicorn's loggers where an application has configured those.

    Such a configuration replaces the server's own as uvicorn's does, and does not silence the server by leaving out
    Gunicorn's loggers (`disable_existing_loggers`).
    """
    errors = log.error_log
    if any(isinstance(handler, _Forward) for handler in errors.handlers):
        errors.disabled = False
    elif _is_configured("uvicorn", "uvicorn.error") and logging.getLogger("uvicorn.error").hasHandlers():
        errors.disabled = False
        errors.addHandler(_Forward("uvicorn.error"))
        if log.cfg.errorlog == "-" and (own := log._get_gunicorn_handler(errors)):
            errors.removeHandler(own)
    if _is_configured("uvicorn.access"):
        log.access_log.disabled = False


_LEVEL_METHODS = ("critical", "error", "warning", "info", "debug", "exception", "log")
_ACCESS_METHODS = ("access", "atoms", "now", "_get_user", "access_log_enabled", "atoms_wrapper_class")


def route(log: Any) -> tuple[int, bool, str]:
    """Find out which ways lines take: the least level, whether the server's lines go through `log`, access lines.

    Access lines are written by the "server" itself, by the "logger", or are "off".
    """
    if isinstance(log, Logger):
        _join_uvicorn(log)
    errors, accesses = logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")
    plain = _inherits(log, _LEVEL_METHODS) and _is_plain(errors, ErrorLogHandler, Logger.error_fmt, Logger.datefmt)
    # Error trackers replace this method to see every record.
    plain = plain and logging.Logger.callHandlers.__module__ == "logging"
    access = "logger"
    if isinstance(log, Logger) and (uvicorn := log._uvicorn_access()) is not None:
        access = "logger" if uvicorn.isEnabledFor(logging.INFO) and uvicorn.hasHandlers() else "off"
    elif _inherits(log, _ACCESS_METHODS):
        if not log.access_log_enabled or not accesses.isEnabledFor(logging.INFO) or not accesses.hasHandlers():
            access = "off"
        elif _oxicorn.unknown_atoms(log.cfg.access_log_format) is None:
            access = "logger"  # A notation of Python's that the server does not know, such as `%(D)06d`.
        elif "}i)" in log.cfg.access_log_format and _is_set(log.cfg.pre_request):
            access = "logger"  # The hook may add fields, or change them, for the line to show.
        elif log.cfg.accesslog and _is_plain(accesses, _ReportsOnce, Logger.access_fmt, None):
            ours = accesses.handlers[0]._output == log.cfg.accesslog  # type: ignore[attr-defined]
            access = "server" if ours else "logger"
    if not isinstance(log, Logger):
        return Logger.LOG_LEVELS.get(str(log.cfg.loglevel).lower(), logging.INFO), True, "logger"
    return errors.getEffectiveLevel(), not plain, access


def _is_set(hook: Any) -> bool:
    return getattr(hook, "__module__", None) != "oxicorn.config"


def _inherits(log: Any, names: tuple[str, ...]) -> bool:
    """Whether these members of `log` are those of `Logger`, or of another class of ours."""
    return isinstance(log, Logger) and all(_is_ours(type(log), name) and name not in vars(log) for name in names)


def _is_ours(kind: type[Logger], name: str) -> bool:
    member = getattr(kind, name)
    # `Statsd` measures what passes through it; the server measures its own lines.
    return member is getattr(Logger, name) or getattr(member, "__module__", "") == "oxicorn.instrument.statsd"


def _is_plain(log: logging.Logger, kind: type[logging.Handler], fmt: str, datefmt: str | None) -> bool:
    """Whether `log` does nothing but what the server's own lines do: one handler, ours, in its normal format."""
    if log.filters or log.disabled or len(log.handlers) != 1 or (log.propagate and logging.root.handlers):
        return False
    handler = log.handlers[0]
    formatter = handler.formatter
    return (
        isinstance(handler, kind)
        and getattr(handler, "_gunicorn", False)
        and not handler.filters
        and handler.level <= log.level
        and (type(formatter) is json_log.Formatter or _has_format(formatter, fmt, datefmt))
    )


def _has_format(formatter: logging.Formatter | None, fmt: str, datefmt: str | None) -> bool:
    return type(formatter) is logging.Formatter and (formatter._fmt, formatter.datefmt) == (fmt, datefmt)
