"""The admin host's login: its own address, so that no page stands on both kinds of host."""

from django.urls import path

from . import views

app_name = "accounts"

urlpatterns = [
    path("login/", views.Login.as_view(home="/platform/"), name="login"),
    path("logout/", views.Logout.as_view(), name="logout"),
]
