from django.urls import path

from . import urls_security, views

app_name = "accounts"

urlpatterns = [
    path("login/", views.Login.as_view(), name="login"),
    path("login/code/", views.LoginCode.as_view(), name="login-code"),
    path("logout/", views.Logout.as_view(), name="logout"),
    path("set-password/<str:key>/<str:token>/", views.SetPassword.as_view(), name="set-password"),
    *urls_security.urlpatterns,
]
