"""Programs that bring their own settings and application: subclass, then `run()`."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from oxicorn.config import Config, Parser, get_default_config_file


class BaseApplication:
    """A server that is configured by `load_config` and serves what `load` returns."""

    cfg: Config

    def __init__(self, usage: str | None = None, prog: str | None = None) -> None:
        """Read the settings; a mistake in them ends the program with exit code 1."""
        self.usage, self.prog = usage, prog
        self.callable: Callable[..., Any] | None = None
        self.logger: Any = None
        self.do_load_config()

    def do_load_config(self) -> None:
        """Read the settings, or say what is wrong with them and leave."""
        try:
            self.reload()
            self.cfg.validate()
        except Exception as error:
            print(f"\nError: {error}", file=sys.stderr, flush=True)  # noqa: T201
            sys.exit(1)

    def reload(self) -> None:
        """Read the settings, again at each reload of the server."""
        self.load_default_config()
        self.load_config()

    def load_default_config(self) -> None:
        """Start from the defaults."""
        self.cfg = Config(self.usage, prog=self.prog)

    def load_config(self) -> None:
        """Call `self.cfg.set` for every setting that has a value: to be overridden."""
        raise NotImplementedError

    def init(self, parser: Parser, opts: Any, args: list[str]) -> dict[str, Any] | None:
        """Return settings that the conf file and the command line may override: to be overridden."""
        raise NotImplementedError

    def load(self) -> Callable[..., Any]:
        """Return the application: to be overridden. Called in each worker, or once with `preload_app`."""
        raise NotImplementedError

    def wsgi(self) -> Callable[..., Any]:
        """Return the application, loaded once in a process."""
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def run(self) -> NoReturn:
        """Serve, and leave with the exit code of the arbiter or, in a worker, of that worker."""
        from oxicorn.arbiter import Arbiter

        Arbiter(self).run()


class Application(BaseApplication):
    """The same with the command line, the environment and a conf file as sources of settings."""

    def chdir(self) -> None:
        """Enter the directory that is set, and import from it."""
        os.chdir(self.cfg.chdir)
        if self.cfg.chdir not in sys.path:
            sys.path.insert(0, self.cfg.chdir)

    def get_config_from_filename(self, filename: str) -> dict[str, Any]:
        """Execute a conf file and return what it defines."""
        if not os.path.exists(filename):  # noqa: PTH110 - as it is written, for the message
            raise RuntimeError(f"{filename!r} doesn't exist")
        loader = importlib.machinery.SourceFileLoader("__config__", filename)
        spec = importlib.util.spec_from_file_location("__config__", filename, loader=loader)
        assert spec is not None
        # Registered, because a worker class that it defines is looked for there.
        module = sys.modules["__config__"] = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return vars(module)

    def get_config_from_module_name(self, module_name: str) -> dict[str, Any]:
        """Import a module and return what it defines."""
        return vars(importlib.import_module(module_name))

    def load_config_from_module_name_or_filename(self, location: str) -> dict[str, Any]:
        """Take the settings of `PATH`, `file:PATH` or `python:MODULE`."""
        if location.startswith("python:"):
            found = self.get_config_from_module_name(location.removeprefix("python:"))
        else:
            found = self.get_config_from_filename(location.removeprefix("file:"))
        for name, value in found.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)
        return found

    def load_config_from_file(self, filename: str) -> dict[str, Any]:
        """Take the settings of a conf file."""
        return self.load_config_from_module_name_or_filename(filename)

    def load_config(self) -> None:
        """Take `init`'s settings, the conf file's, the environment's and the command line's, the last strongest."""
        parser = self.cfg.parser()
        options = parser.parse_args()
        for name, value in (self.init(parser, options, options.args) or {}).items():
            self.cfg.set(name.lower(), value)
        self.chdir()
        environment = parser.parse_args(self.cfg.get_cmd_args_from_env())
        location = options.config or environment.config or get_default_config_file()
        if location is not None:
            self.load_config_from_file(location)
        for source in (environment, options):
            for name, value in vars(source).items():
                if value is not None and name != "args":
                    self.cfg.set(name, value)
        self.chdir()
