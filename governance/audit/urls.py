"""Included on both kinds of host: each sees the archives of its own trail."""

from django.urls import path

from . import views

app_name = "audit_archives"

urlpatterns = [
    path("", views.ArchiveList.as_view(), name="archive-list"),
    path("keep/", views.Keep.as_view(), name="keep"),
    path("request/", views.RequestArchive.as_view(), name="request"),
    path("<uuid:archive_id>/file/", views.ArchiveFile.as_view(), name="file"),
]
