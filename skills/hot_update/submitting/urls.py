from django.urls import path

from . import views

app_name = "submissions"

urlpatterns = [
    path("", views.SubmissionList.as_view(), name="submission-list"),
    path("new/", views.SendFiles.as_view(), name="send-files"),
    path("new/<str:draft>/", views.Describe.as_view(), name="describe"),
    path("new/<str:draft>/preview/", views.FormPreview.as_view(), name="form-preview"),
    path("<uuid:submission_id>/", views.SubmissionDetail.as_view(), name="submission-detail"),
    path("<uuid:submission_id>/revise/", views.ReviseFiles.as_view(), name="revise-files"),
    path("<uuid:submission_id>/rewrite/", views.Rewrite.as_view(), name="rewrite"),
    path("<uuid:submission_id>/recheck/", views.Recheck.as_view(), name="recheck"),
    path("<uuid:submission_id>/withdraw/", views.Withdraw.as_view(), name="withdraw"),
    path("<uuid:submission_id>/answer/", views.Answer.as_view(), name="answer"),
    path("revisions/<uuid:revision_id>/", views.RevisionDetail.as_view(), name="revision-detail"),
]
