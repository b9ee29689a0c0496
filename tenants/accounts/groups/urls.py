from django.urls import path

from . import views

app_name = "groups"

urlpatterns = [
    path("", views.GroupList.as_view(), name="group-list"),
    path("<int:group_id>/", views.GroupDetail.as_view(), name="group-detail"),
    path("<int:group_id>/delete/", views.GroupDelete.as_view(), name="group-delete"),
    path("<int:group_id>/members/", views.MemberAdd.as_view(), name="member-add"),
    path(
        "<int:group_id>/members/<str:username>/remove/",
        views.MemberRemove.as_view(),
        name="member-remove",
    ),
]
