from django.urls import path

from . import views

urlpatterns = [
    path("<slug:name>/versions/", views.VersionList.as_view(), name="version-list"),
    path("<slug:name>/changes/", views.VersionChanges.as_view(), name="version-changes"),
    path("<slug:name>/source/", views.VersionSource.as_view(), name="version-source"),
    path("<slug:name>/bind/", views.SkillBind.as_view(), name="skill-bind"),
    path("<slug:name>/rollback/", views.SkillRollBack.as_view(), name="skill-roll-back"),
    path("<slug:name>/enable/", views.SkillEnable.as_view(), name="skill-enable"),
    path("<slug:name>/disable/", views.SkillDisable.as_view(), name="skill-disable"),
    path("<slug:name>/edit/", views.SkillEdit.as_view(), name="skill-edit"),
    path("<slug:name>/grants/", views.SkillGrants.as_view(), name="skill-grants"),
]
