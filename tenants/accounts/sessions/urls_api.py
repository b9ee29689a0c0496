from django.urls import path

from . import api

urlpatterns = [
    path("sessions", api.SessionListView.as_view()),
    path("sessions/<str:handle>", api.SessionDetailView.as_view()),
    path("tokens", api.TokenListView.as_view()),
    path("tokens/<str:handle>", api.TokenDetailView.as_view()),
]
