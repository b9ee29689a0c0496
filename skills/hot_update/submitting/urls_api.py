from django.urls import path

from . import api

urlpatterns = [
    path("submissions", api.SubmissionListView.as_view()),
    path("submissions/<uuid:submission_id>", api.SubmissionDetailView.as_view()),
    path("submissions/<uuid:submission_id>/revisions", api.ReviseView.as_view()),
    path("submissions/<uuid:submission_id>/recheck", api.RecheckView.as_view()),
    path("submissions/<uuid:submission_id>/remarks", api.AnswerView.as_view()),
    path("submissions/<uuid:submission_id>/withdraw", api.WithdrawView.as_view()),
]
