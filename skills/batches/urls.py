from django.urls import path

from . import views

app_name = "batches"

urlpatterns = [
    path("", views.BatchList.as_view(), name="batch-list"),
    path("new/<slug:name>/", views.BatchNew.as_view(), name="batch-new"),
    path("new/<slug:name>/template.csv", views.BatchTemplate.as_view(), name="batch-template"),
    path("<uuid:batch_id>/", views.BatchDetail.as_view(), name="batch-detail"),
    path("<uuid:batch_id>/live/", views.BatchLive.as_view(), name="batch-live"),
    path("<uuid:batch_id>/columns/", views.Columns.as_view(), name="batch-columns"),
    path("<uuid:batch_id>/start/", views.Start.as_view(), name="batch-start"),
    path("<uuid:batch_id>/confirm/", views.Confirm.as_view(), name="batch-confirm"),
    path("<uuid:batch_id>/approve/", views.Approve.as_view(), name="batch-approve"),
    path("<uuid:batch_id>/reject/", views.Reject.as_view(), name="batch-reject"),
    path("<uuid:batch_id>/pause/", views.Pause.as_view(), name="batch-pause"),
    path("<uuid:batch_id>/resume/", views.Resume.as_view(), name="batch-resume"),
    path("<uuid:batch_id>/cancel/", views.Cancel.as_view(), name="batch-cancel"),
    path("<uuid:batch_id>/retry/", views.Retry.as_view(), name="batch-retry"),
    path("<uuid:batch_id>/result.csv", views.ResultCsv.as_view(), name="batch-csv"),
    path("<uuid:batch_id>/result.xlsx", views.ResultXlsx.as_view(), name="batch-xlsx"),
    path("<uuid:batch_id>/artifacts.zip", views.Archive.as_view(), name="batch-zip"),
]
