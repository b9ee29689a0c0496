from django.urls import path

from . import api

urlpatterns = [
    path("audit/events", api.EventListView.as_view()),
    path("audit/export", api.AuditExportView.as_view()),
    path("audit/seals", api.SealListView.as_view()),
    path("audit/seals.jsonl", api.SealFileView.as_view()),
]
