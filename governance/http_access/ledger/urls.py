from django.urls import path

from . import views

app_name = "http_ledger"

urlpatterns = [path("", views.Ledger.as_view(), name="ledger")]
