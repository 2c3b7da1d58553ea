"""Applications and servers that PasteDeploy files describe, as Pyramid's projects have them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from harness import Serve, Server, eventually

APPLICATION = """
import logging
from pyramid.config import Configurator
from pyramid.response import Response

def main(global_config, **settings):
    config = Configurator(settings=settings)
    config.add_route("home", "/")
    def home(request):
        logging.getLogger("shop").warning("asked for home")
        return Response(f"{settings['name']} in {global_config.get('stage')} at {global_config['here']}")
    config.add_view(home, route_name="home")
    return config.make_wsgi_app()
"""

FILE = """
[app:main]
paste.app_factory = shop:main
name = main shop

[app:second]
paste.app_factory = shop:main
name = %(prefix)s shop

[server:main]
use = egg:oxicorn#main
host = 127.0.0.1
port = PORT
workers = 2
"""

LOGGERS = """
[loggers]
keys = root, shop

[handlers]
keys = file

[formatters]
keys = plain

[logger_root]
level = INFO
handlers = file

[logger_shop]
level = INFO
handlers =
qualname = shop

[handler_file]
class = FileHandler
args = ("shop.log",)
level = NOTSET
formatter = plain

[formatter_plain]
format = %(name)s says %(message)s
"""


@pytest.fixture
def site(serve: Serve) -> Path:
    (serve.folder / "shop.py").write_text(APPLICATION)
    (serve.folder / "shop.ini").write_text(FILE)
    return serve.folder


@pytest.mark.parametrize("option", ["--paste", "--paster"])
def test_a_file_names_the_application(serve: Serve, site: Path, option: str) -> None:
    server = serve(None, option, "shop.ini", "--paste-global", "stage=test", cwd=site)
    assert server.get().text == f"main shop in test at {site}"
    assert server.stop() == 0


def test_a_section_and_variables(serve: Serve, site: Path) -> None:
    variables = ["--paste-global", "prefix=other", "--paste-global", "stage=a=b"]
    server = serve(None, "--paste", "shop.ini#second", *variables, cwd=site)
    assert server.get().text == f"other shop in a=b at {site}"


def test_it_configures_logging_too(serve: Serve, site: Path) -> None:
    (site / "shop.ini").write_text(FILE + LOGGERS)
    server = serve(None, "--paste", "shop.ini", cwd=site)
    assert server.get().status == 200
    eventually(lambda: "shop says asked for home" in (site / "shop.log").read_text(), what="the application's line")


def test_it_is_found_whatever_chdir_says_and_loaded_before_the_fork(serve: Serve, site: Path) -> None:
    (site / "elsewhere").mkdir()
    options = ["--chdir", "elsewhere", "--pythonpath", str(site), "--preload"]
    server = serve(None, "--paste", "shop.ini", *options, cwd=site)
    assert server.get().text == f"main shop in None at {site}"


def test_pserve_runs_the_server_that_the_file_names(serve: Serve, site: Path, monkeypatch) -> None:
    from harness.server import free_port

    port = free_port()
    (site / "shop.ini").write_text(FILE.replace("PORT", str(port)))
    monkeypatch.setenv("OXICORN_TEST_SERVER", f"{sys.executable} -m pyramid.scripts.pserve shop.ini")
    monkeypatch.setenv("PYTHONPATH", str(site))
    server: Server = serve(None, cwd=site, bind=None, ready=False)
    server.address = ("127.0.0.1", port)
    assert server.wait_ready().get().text == f"main shop in None at {site}"
    server.wait_workers(2)
    assert server.stop() == 0


def test_a_file_that_is_not_there(serve: Serve) -> None:
    refusal = serve.refused("--paste", "none.ini", cwd=serve.folder)
    assert refusal.code == 1
    assert refusal.text == f"error: paste: the file {serve.folder}/none.ini does not exist\n"


def test_a_section_that_is_not_there_is_a_boot_failure(serve: Serve, site: Path) -> None:
    refusal = serve.refused("--paste", "shop.ini#none", cwd=site)
    assert refusal.code == 3
    assert "No section 'none'" in refusal.text


def test_without_pastedeploy_it_says_what_is_missing(serve: Serve, site: Path) -> None:
    (site / "sitecustomize.py").write_text("import sys\nsys.modules['paste.deploy'] = None\n")
    for more in ([], ["--check-config"]):
        refusal = serve.refused("--paste", "shop.ini", *more, cwd=site, env={"PYTHONPATH": str(site)})
        assert refusal.code == 1
        assert refusal.text == "error: paste: PasteDeploy is not installed\n  hint: pip install PasteDeploy\n"
