"""An empty URL set, so that these tests stand on the shell alone."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
