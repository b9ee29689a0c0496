from django.urls import path

from . import api

urlpatterns = [
    path("inbox", api.InboxView.as_view()),
    path("approval-rules", api.RulesView.as_view()),
    path("delegations", api.DelegationListView.as_view()),
    path("delegations/<int:delegation_id>/end", api.DelegationEndView.as_view()),
]
