"""The server's own program as a class: the application is named on the command line or by `wsgi_app`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from oxicorn.app.base import Application
from oxicorn.config import Config, Parser
from oxicorn.errors import ConfigError
from oxicorn.util import import_app


class WSGIApplication(Application):
    """An application named by a string or by a PasteDeploy file."""

    app_uri: str | None = None

    @classmethod
    def over(cls, cfg: Config, app_uri: str | None) -> WSGIApplication:
        """Return what `server.app` is for a server that was started by its command."""
        application = cls.__new__(cls)
        application.usage = application.prog = application.callable = application.logger = None
        application.cfg, application.app_uri = cfg, app_uri
        return application

    def init(self, parser: Parser, opts: Any, args: list[str]) -> dict[str, Any] | None:
        """Note which application is meant."""
        del parser
        self.app_uri = str(Path(opts.paste).absolute()) if opts.paste else args[0] if args else None
        return {"default_proc_name": self.app_uri} if self.app_uri else None

    def load_config(self) -> None:
        """Take the settings of all sources and insist on an application."""
        super().load_config()
        self.app_uri = self.app_uri or self.cfg.wsgi_app
        if self.app_uri is None:
            raise ConfigError("No application module specified.")

    def load_wsgiapp(self) -> Callable[..., Any]:
        """Import the application."""
        assert self.app_uri is not None
        return import_app(self.app_uri)

    def load_pasteapp(self) -> Callable[..., Any]:
        """Load the application that a PasteDeploy file describes."""
        from oxicorn.app.pasterapp import get_wsgi_app

        assert self.app_uri is not None
        return get_wsgi_app(self.app_uri, defaults=self.cfg.paste_global_conf)

    def load(self) -> Callable[..., Any]:
        """Return the application."""
        return self.load_pasteapp() if self.cfg.paste is not None else self.load_wsgiapp()


def run(prog: str | None = None) -> NoReturn:
    """Do what the command does, with the arguments in `sys.argv`."""
    del prog
    from oxicorn.__main__ import main

    main()
