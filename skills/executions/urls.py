from django.urls import path

from . import views

app_name = "executions"

urlpatterns = [
    path("", views.ExecutionList.as_view(), name="execution-list"),
    path("<uuid:execution_id>/", views.ExecutionDetail.as_view(), name="execution-detail"),
    path("<uuid:execution_id>/live/", views.ExecutionLive.as_view(), name="execution-live"),
    path("<uuid:execution_id>/log.txt", views.ExecutionLog.as_view(), name="execution-log"),
    path(
        "<uuid:execution_id>/result.json", views.ExecutionResult.as_view(), name="execution-result"
    ),
    path("<uuid:execution_id>/confirm/", views.Confirm.as_view(), name="execution-confirm"),
    path("<uuid:execution_id>/approve/", views.Approve.as_view(), name="execution-approve"),
    path("<uuid:execution_id>/reject/", views.Reject.as_view(), name="execution-reject"),
    path("<uuid:execution_id>/cancel/", views.Cancel.as_view(), name="execution-cancel"),
    path("<uuid:execution_id>/retry/", views.Retry.as_view(), name="execution-retry"),
    path(
        "<uuid:execution_id>/inputs/<uuid:file_id>/",
        views.InputDownload.as_view(),
        name="input-download",
    ),
    path(
        "<uuid:execution_id>/inputs/<uuid:file_id>/preview/",
        views.InputPreview.as_view(),
        name="input-preview",
    ),
    path(
        "<uuid:execution_id>/inputs/<uuid:file_id>/image/",
        views.InputImage.as_view(),
        name="input-image",
    ),
    path(
        "artifacts/<uuid:artifact_id>/", views.ArtifactDownload.as_view(), name="artifact-download"
    ),
    path(
        "artifacts/<uuid:artifact_id>/preview/",
        views.ArtifactPreview.as_view(),
        name="artifact-preview",
    ),
    path(
        "artifacts/<uuid:artifact_id>/image/", views.ArtifactImage.as_view(), name="artifact-image"
    ),
]
