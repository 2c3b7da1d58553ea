"""What Pyramid applications do: routes, renderers, sessions, files, tweens, exception views."""

from __future__ import annotations

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.response import FileResponse, Response
from pyramid.session import SignedCookieSessionFactory


def index(request):
    return Response(f"Hello, {request.params.get('name', 'world')}!")


def item(request):
    return {"id": int(request.matchdict["id"]), "url": request.route_url("item", id=7)}


def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return {"count": request.session["count"]}


def upload(request):
    part = request.POST["file"]
    content = part.file.read()
    return {"name": part.filename, "size": len(content), "title": request.POST["title"]}


def raw(request):
    return Response(request.body, content_type="application/octet-stream")


def source(request):
    return FileResponse(__file__, request=request, content_type="text/x-python")


def stream(request):
    return Response(app_iter=(b"%d\n" % number for number in range(100)), content_type="text/plain")


def away(request):
    return HTTPFound(request.route_url("index"))


def fails(request):
    raise RuntimeError("a view that fails")


def apology(error, request):
    return Response("sorry", status=500)


def factory(apologise=False):
    """The application; with `apologise` it answers its own failures."""
    config = Configurator(session_factory=SignedCookieSessionFactory("only for tests"))
    for name, pattern, view, renderer in (
        ("index", "/", index, None),
        ("item", "/item/{id:\\d+}", item, "json"),
        ("count", "/count", count, "json"),
        ("upload", "/upload", upload, "json"),
        ("raw", "/raw", raw, None),
        ("source", "/source", source, None),
        ("stream", "/stream", stream, None),
        ("away", "/away", away, None),
        ("fails", "/fails", fails, None),
    ):
        config.add_route(name, pattern)
        config.add_view(view, route_name=name, renderer=renderer)
    if apologise:
        config.add_exception_view(apology, context=Exception)
    return config.make_wsgi_app()
