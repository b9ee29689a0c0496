from django.urls import path

from . import api

urlpatterns = [
    path("groups", api.GroupListView.as_view()),
    path("groups/<int:group_id>", api.GroupDetailView.as_view()),
    path("groups/<int:group_id>/members/<str:username>", api.MemberView.as_view()),
]
