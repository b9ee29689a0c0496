from django.urls import path

from . import api

urlpatterns = [
    path("skills", api.SkillListView.as_view()),
    path("skills/<slug:name>", api.SkillDetailView.as_view()),
]
