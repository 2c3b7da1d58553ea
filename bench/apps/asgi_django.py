"""Answer with JSON from an async view of Django."""

import json

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
django.setup()

ITEM = {"id": 7, "name": "oxicorn", "tags": ["fast", "plain"], "price": 12.5}


async def item(_request: HttpRequest) -> HttpResponse:
    answer = HttpResponse(json.dumps(ITEM, separators=(",", ":")), content_type="application/json")
    # What CommonMiddleware would add, which an async view would pay for with a thread.
    answer["Content-Length"] = str(len(answer.content))
    return answer


# Not the name of this module: FastPySGI does not enter it into sys.modules.
settings.ROOT_URLCONF = (path("", item),)
# Its lifespan is not asked for: Django answers that with an error, which servers take for "unsupported".
app = ASGIHandler()
