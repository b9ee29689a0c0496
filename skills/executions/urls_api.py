from django.urls import path

from . import api, evidence_api, file_api

urlpatterns = [
    path("executions", api.ExecutionListView.as_view()),
    path("executions/<uuid:execution_id>", api.ExecutionDetailView.as_view()),
    path("executions/<uuid:execution_id>/confirm", api.ConfirmView.as_view()),
    path("executions/<uuid:execution_id>/approve", api.ApproveView.as_view()),
    path("executions/<uuid:execution_id>/reject", api.RejectView.as_view()),
    path("executions/<uuid:execution_id>/cancel", api.CancelView.as_view()),
    path("executions/<uuid:execution_id>/retry", api.RetryView.as_view()),
    path("executions/<uuid:execution_id>/evidence", evidence_api.EvidenceApiView.as_view()),
    path("executions/<uuid:execution_id>/log", api.LogView.as_view()),
    path("executions/<uuid:execution_id>/artifacts", file_api.ArtifactListView.as_view()),
    path("executions/<uuid:execution_id>/artifacts.zip", file_api.ArtifactArchiveView.as_view()),
    path("artifacts/<uuid:artifact_id>/link", file_api.ArtifactLinkView.as_view()),
    path("artifacts/<uuid:artifact_id>/content", file_api.ArtifactContentView.as_view()),
    path("files", file_api.FileView.as_view()),
]
