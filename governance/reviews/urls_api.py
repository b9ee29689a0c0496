from django.urls import path

from . import api

urlpatterns = [
    path("submissions", api.SubmissionListView.as_view()),
    path("submissions/<uuid:submission_id>", api.SubmissionDetailView.as_view()),
    path("submissions/<uuid:submission_id>/approve", api.SubmissionApproveView.as_view()),
    path("submissions/<uuid:submission_id>/reject", api.SubmissionRejectView.as_view()),
    path("submissions/<uuid:submission_id>/remark", api.SubmissionRemarkView.as_view()),
    path("submissions/<uuid:submission_id>/resume", api.SubmissionResumeView.as_view()),
    path(
        "tenants/<slug:name>/withdraw-version",
        api.VersionWithdrawView.as_view(),
    ),
]
