"""The settings as Python sees them: `server.cfg`, `worker.cfg`, and the `cfg` of an embedding application."""

from __future__ import annotations

import argparse
import grp
import inspect
import os
import pwd
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from oxicorn import _oxicorn
from oxicorn.util import load_class, parse_address
from oxicorn.workers.gasgi import ASGIWorker
from oxicorn.workers.gthread import ThreadWorker
from oxicorn.workers.sync import SyncWorker


def _unset(*_arguments: Any) -> None:
    """Stand where a hook is not set: there is nothing to do."""


class Setting:
    """One setting and its value. A subclass with a `name` is one more setting."""

    name: str | None = None
    section: str | None = None
    cli: list[str] | None = None
    validator: Callable[[Any], Any] | None = None
    type: Callable[[str], Any] | None = None
    meta: str | None = None
    action: str | None = None
    nargs: int | str | None = None
    const: Any = None
    short: str | None = None
    desc: str | None = None
    default: Any = None
    value: Any = None

    def __init__(
        self, name: str | None = None, section: str | None = None, cli: list[str] | None = None, default: Any = None
    ) -> None:
        """Describe the setting; `default` is what the environment makes of it. A subclass does so in its body."""
        self.given = False
        if name is not None:
            self.name, self.section, self.cli = name, section, cli
            self.default = self.value = default
        elif self.default is not None:
            self.set(self.default)
            self.given = False

    def __init_subclass__(cls) -> None:
        """Add the setting to those that there are, as Gunicorn does."""
        validator = cls.__dict__.get("validator")
        if validator is not None and not isinstance(validator, staticmethod):
            cls.validator = staticmethod(validator)
        if cls.name is not None:
            _ADDED[cls.name] = cls
            KNOWN_SETTINGS.append(cls())

    def add_option(self, parser: argparse.ArgumentParser) -> None:
        """Have `parser` read the setting, where it has options."""
        if not self.cli:
            return
        options: dict[str, Any] = {"dest": self.name, "default": None, "action": self.action or "store"}
        if options["action"] in ("store", "append"):
            options["type"] = self.type or str
        described = {"metavar": self.meta, "nargs": self.nargs, "const": self.const}
        options |= {name: value for name, value in described.items() if value is not None}
        options["help"] = f"{self.short or self.name} [{self.default}]".replace("%", "%%")
        parser.add_argument(*self.cli, **options)

    def get(self) -> Any:
        """Return the value in force."""
        return self.value

    def set(self, val: Any) -> None:
        """Check `val` and take it, or raise `ValueError` with what the setting accepts."""
        if self.name in _ADDED:
            if not callable(self.validator):
                raise TypeError(f"Invalid validator: {self.name}")
            self.value = self.validator(val)
        else:
            self.value = _oxicorn.check_setting(str(self.name), val)
        self.given = True


_ADDED: dict[str, type[Setting]] = {}
"""Settings of the user's own, by name."""

KNOWN_SETTINGS: list[Setting] = []


def make_settings(ignore: Sequence[str] | None = None) -> dict[str, Setting]:
    """Return every setting by name at its default, but for those in `ignore`."""
    rows = _oxicorn.settings(_unset)
    found = {name: Setting(name, *rest) for name, *rest in rows}
    found |= {name: kind() for name, kind in _ADDED.items()}
    return {name: setting for name, setting in found.items() if name not in (ignore or ())}


KNOWN_SETTINGS += make_settings().values()


def get_default_config_file() -> str | None:
    """Return the conf file that is found by itself in the current directory, if there is one."""
    names = ("oxicorn.conf.py", "gunicorn.conf.py")
    return next((str(Path(name).absolute()) for name in names if Path(name).is_file()), None)


class Parser:
    """Reads a command line as the server's own does, into a namespace with a name for every option."""

    def __init__(self, names: Sequence[str], prog: str) -> None:
        """Answer for the options of the settings `names`."""
        self._names, self.prog = names, prog

    def parse_args(self, args: Sequence[str] | None = None) -> argparse.Namespace:
        """Return each option's value, None where it was not given; the positional arguments are in `args`."""
        added = self._added()
        own, rest = added.parse_known_args(list(sys.argv[1:] if args is None else args))
        try:
            given, words = _oxicorn.parse_arguments(rest)
        except SystemExit as end:
            if end.code == 0 and added.description is not None and {"-h", "--help"} & set(rest):
                sys.stdout.write(f"\n{added.format_help()}")
            raise
        values = {name: _oxicorn.check_setting(name, value) for name, value in given.items()}
        return argparse.Namespace(**{**dict.fromkeys(self._names), **values, **vars(own), "args": words})

    def _added(self) -> argparse.ArgumentParser:
        """Return what reads the options of the user's own settings, and leaves all other words as they are."""
        settings = [kind() for name, kind in _ADDED.items() if name in self._names and kind.cli]
        parser = argparse.ArgumentParser(
            prog=self.prog,
            usage=argparse.SUPPRESS,
            description=f"Settings of {self.prog}:" if settings else None,
            add_help=False,
            allow_abbrev=False,
        )
        for setting in settings:
            setting.add_option(parser)
        return parser


class Config:
    """The settings, each an attribute under its name; `set` changes one."""

    settings: dict[str, Setting]

    def __init__(self, usage: str | None = None, prog: str | None = None) -> None:
        """Start with every setting at its default."""
        self.settings = make_settings()
        self.usage, self.prog = usage, prog or Path(sys.argv[0]).name
        self.env_orig = os.environ.copy()

    @classmethod
    def of(cls, values: dict[str, Any]) -> Config:
        """Return a `Config` that shows `values`, which the server has resolved."""
        config = cls()
        for name, value in values.items():
            config.settings[name].value = value
        conf_file = vars(sys.modules.get("__config__", config))
        for name in conf_file.keys() & _ADDED.keys():
            config.settings[name].set(conf_file[name])
        return config

    @property
    def given(self) -> dict[str, Any]:
        """What `set` was called for, by name."""
        return {name: setting.value for name, setting in self.settings.items() if setting.given}

    def __getattr__(self, name: str) -> Any:
        """Return the value of the setting `name`."""
        try:
            return self.__dict__["settings"][name].value
        except KeyError:
            raise AttributeError(f"No configuration setting for: {name}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse what would hide a setting."""
        if name in self.__dict__.get("settings", ()):
            raise AttributeError(f"use cfg.set({name!r}, …)")
        super().__setattr__(name, value)

    def set(self, name: str, value: Any) -> None:
        """Change a setting: before an embedding application runs for the server, later for readers of this object."""
        if name not in self.settings:
            raise AttributeError(f"No configuration setting for: {name}")
        self.settings[name].set(value)

    def validate(self) -> None:
        """Do nothing: the server checks the settings against each other when it starts."""

    def parser(self) -> Parser:
        """Return what reads a command line."""
        return Parser(list(self.settings), self.prog)

    def get_cmd_args_from_env(self) -> list[str]:
        """Return the arguments that the environment gives."""
        names = ("GUNICORN_CMD_ARGS", "OXICORN_CMD_ARGS")
        return [word for name in names for word in shlex.split(self.env_orig.get(name, ""))]

    @property
    def address(self) -> list[Any]:
        """The addresses to listen on, as `socket` takes them."""
        return [parse_address(bind) for bind in self.settings["bind"].value]

    @property
    def is_ssl(self) -> bool:
        """Whether TLS is spoken."""
        return bool(self.certfile or self.keyfile)

    @property
    def uid(self) -> int:
        """The user of the workers, as a number."""
        user = self.user
        if user is None:
            return os.geteuid()
        return int(user) if str(user).isdigit() else pwd.getpwnam(user).pw_uid

    @property
    def gid(self) -> int:
        """The group of the workers, as a number."""
        group = self.group
        if group is None:
            return os.getegid()
        return int(group) if str(group).isdigit() else grp.getgrnam(group).gr_gid

    @property
    def worker_class(self) -> Any:
        """The class of the workers."""
        chosen = self.settings["worker_class"].value
        if not isinstance(chosen, str):
            return chosen
        kinds = {"sync": SyncWorker, "gthread": ThreadWorker, "asgi": ASGIWorker}
        return kinds.get(self.worker_class_str) or load_class(chosen)

    @property
    def worker_class_str(self) -> str:
        """The worker class that runs, by its short name."""
        chosen = self.settings["worker_class"].value
        name = chosen if isinstance(chosen, str) else str(chosen.__name__)
        return "gthread" if name == "sync" and self.threads > 1 else name

    @property
    def proc_name(self) -> str:
        """The name that process titles show."""
        return str(self.settings["proc_name"].value or self.settings["default_proc_name"].value)

    @property
    def env(self) -> dict[str, str]:
        """`raw_env` as a mapping."""
        return _pairs(self.raw_env)

    @property
    def paste_global_conf(self) -> dict[str, str]:
        """`raw_paste_global_conf` as a mapping."""
        return _pairs(self.raw_paste_global_conf)

    def __str__(self) -> str:
        """List every setting on a line of its own, as Gunicorn does."""
        width = max(map(len, self.settings))
        shown = {name: self.settings[name].value for name in sorted(self.settings)}
        lines = ((name, f"<{value.__qualname__}()>" if callable(value) else value) for name, value in shown.items())
        return "\n".join(f"{name:{width}} = {value}" for name, value in lines)


def validate_bool(val: Any) -> bool | None:
    """Return a truth value, also out of the words `true` and `false`."""
    if val is None or isinstance(val, bool):
        return val
    words = {"true": True, "false": False}
    if not isinstance(val, str):
        raise TypeError(f"Invalid type for casting: {val}")
    if val.strip().lower() not in words:
        raise ValueError(f"Invalid boolean: {val}")
    return words[val.strip().lower()]


def validate_pos_int(val: Any) -> int:
    """Return a whole number that is not negative; text may be hexadecimal."""
    number = int(val) if isinstance(val, (int, bool)) else int(val, 0)
    if number < 0:
        raise ValueError(f"Value must be positive: {val}")
    return number


def validate_string(val: Any) -> str | None:
    """Return text without the blanks round it."""
    if val is not None and not isinstance(val, str):
        raise TypeError(f"Not a string: {val}")
    return val if val is None else val.strip()


def validate_list_string(val: Any) -> list[str | None]:
    """Return a list of texts; a text alone is a list of one."""
    return [validate_string(each) for each in ([val] if isinstance(val, str) else val or [])]


def validate_dict(val: Any) -> dict[Any, Any]:
    """Return a dictionary."""
    if not isinstance(val, dict):
        raise TypeError(f"Value is not a dictionary: {val} ")
    return val


def validate_callable(arity: int) -> Callable[[Any], Any]:
    """Return the check of a function with `arity` parameters, which may be named by a dotted path."""

    def check(val: Any) -> Any:
        found = load_class(val)
        if not callable(found):
            raise TypeError(f"Value is not callable: {val}")
        if arity != -1 and len(inspect.signature(found).parameters) != arity:
            raise TypeError(f"Value must have an arity of: {arity}")
        return found

    return check


def _pairs(entries: list[str]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in entries)
