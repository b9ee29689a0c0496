from django.urls import path

from . import api
from .managing.urls_api import urlpatterns as managing

urlpatterns = [
    path("skills", api.SkillListView.as_view()),
    path("skills/<slug:name>", api.SkillDetailView.as_view()),
    *managing,
]
