"""The application that a Django project's settings name, for `manage.py runoxicorn`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def application() -> Callable[..., Any]:
    """Return the project's application, with static files where DEBUG is set and the project has that app."""
    import django
    from django.conf import settings
    from django.utils.module_loading import import_string

    django.setup()
    wishes = os.environ.get("OXICORN_DJANGO", "").split()
    wsgi, asgi = settings.WSGI_APPLICATION, getattr(settings, "ASGI_APPLICATION", None)
    is_asgi = asgi is not None and (wsgi is None or "asgi" in wishes)
    name = asgi if is_asgi else wsgi
    if name is not None:
        found = import_string(name)
    elif "asgi" in wishes:
        from django.core.asgi import get_asgi_application

        found, is_asgi = get_asgi_application(), True
    else:
        from django.core.wsgi import get_wsgi_application

        found = get_wsgi_application()
    serves_files = settings.DEBUG and "nostatic" not in wishes
    if not serves_files or "django.contrib.staticfiles" not in settings.INSTALLED_APPS:
        return found  # type: ignore[no-any-return]
    from django.contrib.staticfiles import handlers

    return (handlers.ASGIStaticFilesHandler if is_asgi else handlers.StaticFilesHandler)(found)  # type: ignore[no-any-return]
