"""Django on ASGI: the handler of `asgi.py`, with views that are asynchronous and views that are not."""

from __future__ import annotations

import asyncio
import threading

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for tests",
    DATABASES={},
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)

from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402


async def hello(request: HttpRequest) -> JsonResponse:
    await asyncio.sleep(0)
    return JsonResponse({"path": request.path, "q": request.GET.dict(), "meta": request.META["REMOTE_ADDR"]})


def plain(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"main": threading.current_thread() is threading.main_thread()})


@csrf_exempt
async def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body)


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces():
        for number in range(100):
            yield f"{number}\n"

    return StreamingHttpResponse(pieces())


async def fails(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a view that fails")


urlpatterns = [
    path("", hello),
    path("plain", plain),
    path("echo", echo),
    path("stream", stream),
    path("fails", fails),
]
application = get_asgi_application()
