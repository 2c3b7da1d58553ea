"""Configurations of logging that are written for uvicorn reach the server's lines, and do not silence it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Serve, eventually

APPLICATION = """
    import logging.config
    {configure}
    async def application(scope, receive, send):
        if scope["path"] == "/fails":
            raise LookupError("of its own")
        await send({{"type": "http.response.start", "status": 200}})
        await send({{"type": "http.response.body", "body": b"here"}})
"""

DICT = """
    logging.config.dictConfig({{
        "version": 1,
        "disable_existing_loggers": {disable},
        "formatters": {{"own": {{"format": "OWN %(name)s %(levelname)s %(message)s"}}}},
        "handlers": {{"own": {{"class": "logging.FileHandler", "filename": {path!r}, "formatter": "own"}}}},
        "loggers": {{{loggers}}},
    }})
"""

LOGGERS = {
    "uvicorn": '"uvicorn": {"handlers": ["own"], "level": "INFO", "propagate": False}',
    "uvicorn.error": '"uvicorn.error": {"handlers": ["own"], "level": "INFO"}',
    "uvicorn.access": '"uvicorn.access": {"handlers": ["own"], "level": "INFO", "propagate": False}',
    "quiet": '"uvicorn.access": {"handlers": ["own"], "level": "WARNING", "propagate": False}',
}


@pytest.fixture
def start(serve: Serve, write, tmp_path: Path):
    def start(*loggers: str, disable: bool = True, options: tuple[str, ...] = ()):
        path = tmp_path / "own.log"
        chosen = ", ".join(LOGGERS[name] for name in loggers)
        configure = DICT.format(disable=disable, path=str(path), loggers=chosen).replace("\n    ", "\n    ")
        write("configures.py", APPLICATION.format(configure=configure.strip()))
        server = serve("configures", "-k", "uvicorn.workers.UvicornWorker", *options, cwd=serve.folder)
        return server, path

    return start


@pytest.mark.parametrize("disable", [True, False])
@pytest.mark.parametrize("name", ["uvicorn", "uvicorn.error"])
def test_lines_of_the_server_take_the_way_of_uvicorn_s_logger(start, name: str, disable: bool) -> None:
    server, path = start(name, disable=disable)
    with server.connect() as wire:
        assert wire.get("/fails").status == 500
    eventually(lambda: "OWN uvicorn.error ERROR Error handling request /fails" in path.read_text())
    assert "LookupError: of its own" in path.read_text()
    assert "Error handling" not in server.log
    assert server.stop() == 0


def test_access_lines_take_the_way_of_uvicorn_s_logger(start) -> None:
    server, path = start("uvicorn", "uvicorn.access")
    with server.connect() as wire:
        assert wire.get("/there?q=1").text == "here"
    eventually(lambda: 'OWN uvicorn.access INFO 127.0.0.1 - "GET /there?q=1 HTTP/1.1" 200' in path.read_text())


def test_a_level_silences_access_lines_alone(start) -> None:
    server, path = start("uvicorn", "quiet")
    with server.connect() as wire:
        assert wire.get("/there").text == "here"
        assert wire.get("/fails").status == 500
    eventually(lambda: "/fails" in path.read_text())
    assert "/there" not in path.read_text()


def test_an_error_log_that_is_a_file_gets_the_lines_too(start, tmp_path: Path) -> None:
    server, path = start("uvicorn", options=("--error-logfile", str(tmp_path / "errors.log")))
    with server.connect() as wire:
        assert wire.get("/fails").status == 500
    eventually(lambda: "Error handling request /fails" in path.read_text())
    assert "Error handling request /fails" in (tmp_path / "errors.log").read_text()


def test_to_ask_for_a_logger_configures_nothing(serve: Serve, write) -> None:
    write("asks.py", APPLICATION.format(configure='logging.getLogger("uvicorn.error").debug("nothing")'))
    server = serve("asks", "-k", "asgi", cwd=serve.folder)
    with server.connect() as wire:
        assert wire.get("/fails").status == 500
    server.wait_log("Error handling request /fails")
