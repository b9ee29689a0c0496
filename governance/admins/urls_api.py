from django.urls import path

from . import api

A = "administrators"
N = f"{A}/<int:account_id>"
urlpatterns = [
    path(A, api.AdministratorListView.as_view()),
    path(N, api.AdministratorDetailView.as_view()),
    path(f"{N}/disable", api.AdministratorDisableView.as_view()),
    path(f"{N}/enable", api.AdministratorEnableView.as_view()),
    path(f"{N}/link", api.AdministratorLinkView.as_view()),
    path(f"{N}/second-factor/reset", api.AdministratorSecondFactorView.as_view()),
    path(f"{N}/sessions", api.AdministratorSessionsView.as_view()),
    path(f"{N}/tenants", api.AdministratorDoorsView.as_view()),
]
