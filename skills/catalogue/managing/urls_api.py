from django.urls import path

from . import api

urlpatterns = [
    path("skills/<slug:name>/versions", api.VersionListView.as_view()),
    path("skills/<slug:name>/changes", api.ChangesView.as_view()),
    path("skills/<slug:name>/bind", api.BindView.as_view()),
    path("skills/<slug:name>/rollback", api.RollBackView.as_view()),
    path("skills/<slug:name>/enable", api.EnableView.as_view()),
    path("skills/<slug:name>/disable", api.DisableView.as_view()),
    path("skills/<slug:name>/edit", api.EditView.as_view()),
    path("skills/<slug:name>/grants", api.GrantsView.as_view()),
]
