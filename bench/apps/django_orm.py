"""Answer with five rows that Django's ORM reads from SQLite in memory: a view with a query."""

import os

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, models
from django.http import HttpRequest, JsonResponse
from django.urls import path

# Weft calls WSGI applications on the thread of its event loop, where Django would refuse to query.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
django.setup()


class Row(models.Model):
    name = models.CharField(max_length=20)
    square = models.IntegerField()

    class Meta:
        app_label = "bench"


def rows(_request: HttpRequest) -> JsonResponse:
    found = Row.objects.filter(square__lte=16).order_by("id").values_list("name", "square")
    return JsonResponse({"rows": [list(row) for row in found]})


def fill() -> None:
    """Make the table. A database in memory belongs to its thread, so each thread fills its own."""
    with connection.schema_editor() as editor:
        editor.create_model(Row)
    Row.objects.bulk_create(Row(name=f"row {number}", square=number * number) for number in range(10))


class FilledHandler(WSGIHandler):
    """Django's handler, which sees to it that the thread has its table."""

    def __call__(self, environ, start_response):
        if connection.connection is None:
            fill()
        return super().__call__(environ, start_response)


# Not the name of this module: FastPySGI does not enter it into sys.modules.
settings.ROOT_URLCONF = (path("", rows),)
app = FilledHandler()
