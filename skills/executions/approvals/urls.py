from django.urls import path

from . import views

app_name = "approvals"

urlpatterns = [
    path("", views.Inbox.as_view(), name="inbox"),
    path("delegations/", views.DelegationList.as_view(), name="delegations"),
    path(
        "delegations/<int:delegation_id>/end/",
        views.DelegationEnd.as_view(),
        name="delegation-end",
    ),
    path("rules/", views.RulesPage.as_view(), name="rules"),
]
