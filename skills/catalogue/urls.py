from django.urls import path

from . import views
from .managing.urls import urlpatterns as managing

app_name = "catalogue"

urlpatterns = [
    path("", views.SkillList.as_view(), name="skill-list"),
    path("<slug:name>/", views.SkillDetail.as_view(), name="skill-detail"),
    path("<slug:name>/samples/<path:path>", views.SampleDownload.as_view(), name="sample-download"),
    *managing,
]
