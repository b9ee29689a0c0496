from django.urls import path

from . import api

urlpatterns = [
    path("batches", api.BatchListView.as_view()),
    path("batches/<uuid:batch_id>", api.BatchDetailView.as_view()),
    path("batches/<uuid:batch_id>/rows", api.BatchRowsView.as_view()),
    path("batches/<uuid:batch_id>/mapping", api.MapView.as_view()),
    path("batches/<uuid:batch_id>/start", api.StartView.as_view()),
    path("batches/<uuid:batch_id>/confirm", api.ConfirmView.as_view()),
    path("batches/<uuid:batch_id>/approve", api.ApproveView.as_view()),
    path("batches/<uuid:batch_id>/reject", api.RejectView.as_view()),
    path("batches/<uuid:batch_id>/pause", api.PauseView.as_view()),
    path("batches/<uuid:batch_id>/resume", api.ResumeView.as_view()),
    path("batches/<uuid:batch_id>/cancel", api.CancelView.as_view()),
    path("batches/<uuid:batch_id>/retry", api.RetryView.as_view()),
    path("batches/<uuid:batch_id>/result.csv", api.ResultCsvView.as_view()),
    path("batches/<uuid:batch_id>/result.xlsx", api.ResultXlsxView.as_view()),
    path("batches/<uuid:batch_id>/artifacts.zip", api.ArchiveView.as_view()),
]
