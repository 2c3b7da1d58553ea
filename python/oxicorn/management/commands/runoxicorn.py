"""`manage.py runoxicorn`: what `runserver` does, with Oxicorn."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

_FOUND = "oxicorn.management.project:application()"


class Command(BaseCommand):
    """Becomes the server of the project's application."""

    help = "Serves the project with Oxicorn: with DEBUG it reloads changed code and serves static files."
    requires_system_checks: list[str] = []  # noqa: RUF012 - as Django declares it

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what `runserver` takes, and what people set of a server."""
        parser.add_argument(
            "address", nargs="?", metavar="[HOST:]PORT", help="where to listen, 127.0.0.1:8000 by default"
        )
        parser.add_argument("--ipv6", "-6", action="store_true", dest="ipv6", help="listen on [::1]")
        parser.add_argument("--noreload", action="store_true", help="do not load changed code again")
        parser.add_argument("--nostatic", action="store_true", help="do not serve static files")
        parser.add_argument(
            "--asgi", action="store_true", help="serve ASGI_APPLICATION where there is WSGI_APPLICATION too"
        )
        parser.add_argument("--workers", type=int, help="how many worker processes")
        parser.add_argument("--threads", type=int, help="how many threads in each")

    def handle(self, *_arguments: Any, **options: Any) -> NoReturn:
        """Check the project and become the server. Changed code is loaded by a process that has not imported it."""
        self.check(display_num_errors=True)
        self.check_migrations()
        if not settings.DEBUG and not settings.ALLOWED_HOSTS:
            raise CommandError("You must set settings.ALLOWED_HOSTS if DEBUG is False.")
        words = ["--bind", _bind(options["address"], "[::1]" if options["ipv6"] else "127.0.0.1")]
        if settings.DEBUG and not options["noreload"]:
            words.append("--reload")
        for name in ("workers", "threads"):
            if options[name] is not None:
                words += [f"--{name}", str(options[name])]
        os.environ["OXICORN_DJANGO"] = " ".join(name for name in ("asgi", "nostatic") if options[name])
        paths = [str(Path(sys.path[0] or ".").absolute()), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self.stdout.flush()
        self.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "oxicorn", _FOUND, *words])


def _bind(given: str | None, usual: str) -> str:
    if given is None:
        return f"{usual}:8000"
    host, _, port = given.rpartition(":")
    if not port.isdigit():
        raise CommandError(f"{given!r} is not a port, nor an address with one")
    return f"{host or usual}:{port}"
