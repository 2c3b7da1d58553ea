"""Whether an application speaks WSGI, ASGI 3 or ASGI 2 is seen from its shape, whatever it is wrapped in."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import wrapt
from asgiref.wsgi import WsgiToAsgi
from harness import Serve
from oxicorn.dialect import dialect
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware

pytest.importorskip("starlette", reason="it needs Python 3.11")

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse


async def asgi3(scope, receive, send):
    await PlainTextResponse("three")(scope, receive, send)


async def with_greeting(greeting, scope, receive, send): ...


class Instance:
    async def __call__(self, scope, receive, send):
        await asgi3(scope, receive, send)


class WithDefaults:
    def __call__(self, scope, receive=None, send=None):
        return asgi3(scope, receive, send)


class Of2:
    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await PlainTextResponse("two")(self.scope, receive, send)


class Heir(Of2): ...


class WithOption(Of2):
    def __init__(self, scope, option=None): ...


class InstanceOf2:
    def __call__(self, scope):
        return functools.partial(asgi3, scope)


def of_2(scope):
    return functools.partial(asgi3, scope)


def plain(scope, receive, send):
    return asgi3(scope, receive, send)


@functools.wraps(asgi3)
def decorated(*positional, **keywords):
    return asgi3(*positional, **keywords)


@wrapt.decorator
def proxied(wrapped, instance, positional, keywords):
    return wrapped(*positional, **keywords)


def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"wsgi"]


class WsgiInstance:
    def __call__(self, environ, start_response):
        return wsgi(environ, start_response)


class WsgiClass:
    def __init__(self, environ, start_response): ...

    def __iter__(self): ...


def factory(config=None):
    return asgi3


class Forgotten:
    """An application whose class was named, and not an instance."""

    async def __call__(self, scope, receive, send):
        await asgi3(scope, receive, send)


def opaque(*positional): ...


sentry = SentryAsgiMiddleware(asgi3)
of_2_too = InstanceOf2()


@pytest.mark.parametrize(
    ("application", "expected"),
    [
        (asgi3, "asgi3"),
        (Starlette(), "asgi3"),
        (Instance(), "asgi3"),
        (Instance().__call__, "asgi3"),
        (WithDefaults(), "asgi3"),
        (plain, "asgi3"),
        (lambda scope, receive, send: asgi3(scope, receive, send), "asgi3"),
        (decorated, "asgi3"),
        (proxied(asgi3), "asgi3"),
        (proxied(Instance()), "asgi3"),
        (functools.partial(with_greeting, "hello"), "asgi3"),
        (functools.partial(Instance()), "asgi3"),
        (WsgiToAsgi(wsgi), "asgi3"),
        (sentry, "asgi3"),
        (HTTPEndpoint, "asgi3"),
        (Of2, "asgi2"),
        (Heir, "asgi2"),
        (WithOption, "asgi2"),
        (of_2, "asgi2"),
        (of_2_too, "asgi2"),
        (wsgi, "wsgi"),
        (WsgiInstance(), "wsgi"),
        (WsgiClass, "wsgi"),
        (functools.partial(wsgi), "wsgi"),
        (factory, "factory"),
        (lambda: wsgi, "factory"),
        (Forgotten, "factory"),
        (opaque, None),
    ],
)
def test_shapes(application, expected: str | None) -> None:
    assert dialect(application) == expected


@pytest.mark.parametrize(
    ("name", "answer", "calls"),
    [("Heir", "two", 2), ("of_2_too", "three", 2), ("HTTPEndpoint", "Method Not Allowed", 1), ("sentry", "three", 1)],
)
def test_it_is_called_so_and_the_log_says_which(serve: Serve, name: str, answer: str, calls: int) -> None:
    server = serve(f"test_dialects:{name}", cwd=Path(__file__).parent)
    assert server.get("/").text == answer
    server.wait_log("The application speaks ASGI")
    assert ("ASGI 2, which is called twice" in server.log) == (calls == 2)


@pytest.mark.parametrize("name", ["factory", "Forgotten"])
def test_a_factory_that_nobody_called_is_called_and_the_log_says_so(serve: Serve, name: str) -> None:
    server = serve(f"test_dialects:{name}", cwd=Path(__file__).parent)
    assert server.get("/").text == "three"
    server.wait_log(f'"test_dialects:{name}" takes no arguments: it is called as a factory')
