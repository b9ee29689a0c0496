from django.urls import path

from . import api

urlpatterns = [path("http-resources", api.LedgerListView.as_view())]
