"""`flask oxicorn`: what `flask run` does, with Oxicorn."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click
from flask.cli import ScriptInfo, pass_script_info
from flask.helpers import get_debug_flag


@click.command("oxicorn", short_help="Serve the application with Oxicorn.")
@click.option("--host", "-h", default="127.0.0.1", help="The host to listen on.")
@click.option("--port", "-p", default=5000, help="The port to listen on.")
@click.option("--reload/--no-reload", default=None, help="Load changed code again; on with --debug.")
@click.option("--workers", type=int, help="How many worker processes.")
@click.option("--threads", type=int, help="How many threads in each.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@pass_script_info
def command(
    info: ScriptInfo,
    host: str,
    port: int,
    reload: bool | None,
    workers: int | None,
    threads: int | None,
    options: tuple[str, ...],
) -> NoReturn:
    """Serve the application that `--app`, or FLASK_APP, names. After `--`, options of Oxicorn's own are taken."""
    words = ["--bind", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    if get_debug_flag() if reload is None else reload:
        words.append("--reload")
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None:
            words += [f"--{name}", str(value)]
    if info.app_import_path:
        os.environ["FLASK_APP"] = info.app_import_path
    spec = "oxicorn.flask_command:application()"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "oxicorn", spec, *words, *options])


def application() -> Any:
    """Return the application, found where Flask's own commands find it."""
    return ScriptInfo(app_import_path=os.environ.get("FLASK_APP")).load_app()
