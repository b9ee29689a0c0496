from django.urls import path

from . import api

urlpatterns = [
    path("tenants/<slug:name>/exports", api.TenantExportsView.as_view()),
    path("tenants/<slug:name>/deletion", api.TenantDeletionView.as_view()),
    path("tenant-exports", api.ExportListView.as_view()),
    path("tenant-exports/<uuid:export_id>", api.ExportDetailView.as_view()),
    path("tenant-exports/<uuid:export_id>/content", api.ExportContentView.as_view()),
    path("tenant-exports/<uuid:export_id>/remove", api.ExportRemoveView.as_view()),
    path("tenant-exports/<uuid:export_id>/retry", api.ExportRetryView.as_view()),
    path("tenant-deletions", api.DeletionListView.as_view()),
    path("tenant-deletions/<uuid:deletion_id>", api.DeletionDetailView.as_view()),
    path("tenant-deletions/<uuid:deletion_id>/cancel", api.DeletionCancelView.as_view()),
    path("tenant-deletions/<uuid:deletion_id>/retry", api.DeletionRetryView.as_view()),
]
