"""Included on both kinds of host: each sees the archives of its own trail."""

from django.urls import path

from . import api

urlpatterns = [
    path("audit/archives", api.ArchiveListView.as_view()),
    path("audit/archives/<uuid:archive_id>/content", api.ArchiveContentView.as_view()),
    path("audit/retention", api.RetentionView.as_view()),
]
