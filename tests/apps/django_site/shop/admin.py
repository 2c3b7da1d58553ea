"""What the admin site shows."""

from django.contrib import admin

from .models import Document

admin.site.register(Document)
