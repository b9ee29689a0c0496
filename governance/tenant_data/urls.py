from django.urls import path

from . import views

urlpatterns = [
    path("tenants/<slug:name>/export/", views.ExportRequest.as_view(), name="tenant-export"),
    path("tenants/<slug:name>/delete/", views.DeletionSchedule.as_view(), name="tenant-delete"),
    path("leaving/", views.WorkList.as_view(), name="deletion-list"),
    path("exports/<uuid:export_id>/", views.ExportDetail.as_view(), name="export-detail"),
    path("exports/<uuid:export_id>/retry/", views.ExportRetry.as_view(), name="export-retry"),
    path("exports/<uuid:export_id>/remove/", views.ExportRemove.as_view(), name="export-remove"),
    path(
        "exports/<uuid:export_id>/download/", views.ExportDownload.as_view(), name="export-download"
    ),
    path("deletions/<uuid:deletion_id>/", views.DeletionDetail.as_view(), name="deletion-detail"),
    path(
        "deletions/<uuid:deletion_id>/cancel/",
        views.DeletionCancel.as_view(),
        name="deletion-cancel",
    ),
    path(
        "deletions/<uuid:deletion_id>/retry/", views.DeletionRetry.as_view(), name="deletion-retry"
    ),
]
