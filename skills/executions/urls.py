from django.urls import path

from . import evidence_views, file_views, views

app_name = "executions"

urlpatterns = [
    path("", views.ExecutionList.as_view(), name="execution-list"),
    path("retention/", file_views.Retention.as_view(), name="retention"),
    path("<uuid:execution_id>/", views.ExecutionDetail.as_view(), name="execution-detail"),
    path("<uuid:execution_id>/files/", file_views.ExecutionFiles.as_view(), name="execution-files"),
    path(
        "<uuid:execution_id>/files.zip",
        file_views.ExecutionArchive.as_view(),
        name="execution-archive",
    ),
    path("<uuid:execution_id>/evidence/", evidence_views.Evidence.as_view(), name="evidence"),
    path(
        "<uuid:execution_id>/evidence.json",
        evidence_views.EvidenceFile.as_view(),
        name="evidence-file",
    ),
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
        file_views.InputDownload.as_view(),
        name="input-download",
    ),
    path(
        "<uuid:execution_id>/inputs/<uuid:file_id>/preview/",
        file_views.InputPreview.as_view(),
        name="input-preview",
    ),
    path(
        "<uuid:execution_id>/inputs/<uuid:file_id>/image/",
        file_views.InputShown.as_view(kind="image"),
        name="input-image",
    ),
    path(
        "<uuid:execution_id>/inputs/<uuid:file_id>/pdf/",
        file_views.InputShown.as_view(kind="pdf"),
        name="input-pdf",
    ),
    path(
        "artifacts/<uuid:artifact_id>/",
        file_views.ArtifactDownload.as_view(),
        name="artifact-download",
    ),
    path(
        "artifacts/<uuid:artifact_id>/preview/",
        file_views.ArtifactPreview.as_view(),
        name="artifact-preview",
    ),
    path(
        "artifacts/<uuid:artifact_id>/image/",
        file_views.ArtifactShown.as_view(kind="image"),
        name="artifact-image",
    ),
    path(
        "artifacts/<uuid:artifact_id>/pdf/",
        file_views.ArtifactShown.as_view(kind="pdf"),
        name="artifact-pdf",
    ),
    path(
        "artifacts/<uuid:artifact_id>/link/",
        file_views.ArtifactLink.as_view(),
        name="artifact-link",
    ),
    path(
        "artifacts/<uuid:artifact_id>/linked/<str:signed>",
        file_views.LinkedDownload.as_view(),
        name="artifact-linked",
    ),
]
