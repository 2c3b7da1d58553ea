import logging

from pyramid.config import Configurator
from pyramid.response import Response

log = logging.getLogger("shop")


def home(request):
    log.info("home for %s", request.method)
    return Response(request.registry.settings["greeting"])


def main(global_config, **settings):
    config = Configurator(settings=settings)
    config.add_route("home", "/")
    config.add_view(home, route_name="home")
    return config.make_wsgi_app()
