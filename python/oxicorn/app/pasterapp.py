"""PasteDeploy: applications that an ini file describes, and the server that one names (`egg:oxicorn#main`)."""

from __future__ import annotations

import configparser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oxicorn import imports
from oxicorn.app.base import Application
from oxicorn.app_loader import load_by
from oxicorn.config import get_default_config_file
from oxicorn.errors import AppError


def get_wsgi_app(
    config_uri: str, name: str | None = None, defaults: dict[str, str] | None = None
) -> Callable[..., Any]:
    """Load the application of `FILE.ini[#SECTION]`; `defaults` are variables for the file."""
    loadapp = imports.load("paste.deploy").loadapp
    uri = config_uri if ":" in config_uri else f"config:{config_uri}"
    return loadapp(uri, name=name, relative_to=str(Path.cwd()), global_conf=defaults)  # type: ignore[no-any-return]


def has_logging_config(config_file: str) -> bool:
    """Whether the file configures Python's `logging`."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read([config_file])
    return parser.has_section("loggers")


def load(uri: str, variables: dict[str, str], wanted: str | None) -> tuple[Callable[..., Any], str]:
    """Return the application of `FILE.ini[#SECTION]` with its interface, as `app_loader.load` does."""
    return load_by(lambda: get_wsgi_app(uri, defaults=variables), uri, wanted)


def check(uri: str) -> str | None:
    """Refuse what cannot be loaded; return the file where it configures Python's `logging` too."""
    file = uri.partition("#")[0]
    if not Path(file).is_file():
        raise AppError(f"paste: the file {file} does not exist")
    try:
        imports.load("paste.deploy")
    except ImportError as error:
        raise AppError("paste: PasteDeploy is not installed", "pip install PasteDeploy") from error
    return file if has_logging_config(file) else None


class _Served(Application):
    """An application that PasteDeploy has loaded, with the settings of its `[server:…]` section."""

    def __init__(self, application: Callable[..., Any], file: str, settings: dict[str, Any]) -> None:
        self._application, self._file, self._settings = application, file, settings
        super().__init__()

    def load_config(self) -> None:
        self.cfg.set("default_proc_name", self._file)
        if has_logging_config(self._file):
            self.cfg.set("logconfig", self._file)
        settings = dict(self._settings)
        location = settings.pop("config", None) or get_default_config_file()
        if location is not None:
            self.load_config_from_file(location)
        for name, value in settings.items():
            self.cfg.set(name.lower(), value)

    def load(self) -> Callable[..., Any]:
        return self._application


def serve(app: Callable[..., Any], global_conf: dict[str, str], **local_conf: Any) -> None:
    """Serve `app`: what `[server:main] use = egg:oxicorn#main` calls."""
    host, port = local_conf.pop("host", ""), local_conf.pop("port", "")
    if host and port:
        local_conf["bind"] = f"{host}:{port}"
    elif host:
        local_conf["bind"] = host.split(",")
    _Served(app, global_conf["__file__"], local_conf).run()
