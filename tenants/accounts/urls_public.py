"""The admin host's login: its own address, so that no page stands on both kinds of host."""

from django.urls import path

from . import urls_security, views

app_name = "accounts"

HOME = {"home": "/platform/", "home_without_role": "/entrance/"}

urlpatterns = [
    path("login/", views.Login.as_view(**HOME), name="login"),
    path("login/code/", views.LoginCode.as_view(**HOME), name="login-code"),
    path("logout/", views.Logout.as_view(), name="logout"),
    path("set-password/<str:key>/<str:token>/", views.SetPassword.as_view(), name="set-password"),
    *urls_security.urlpatterns,
]
