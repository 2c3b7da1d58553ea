"""The addresses of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import path
from django.views.static import serve
from shop import views

urlpatterns = [
    path("", views.index),
    path("admin/", admin.site.urls),
    path("visits/", views.visits),
    path("documents/", views.documents),
    path("documents/<int:number>/", views.download),
    path("stream/", views.stream),
    path("about/", views.about),
    path("fails/", views.fails),
    path("static/<path:path>", serve, {"document_root": settings.STATIC_ROOT}),
]
