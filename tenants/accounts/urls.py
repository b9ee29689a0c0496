from django.urls import path

from . import views

app_name = "accounts"

urlpatterns = [
    path("login/", views.Login.as_view(), name="login"),
    path("logout/", views.Logout.as_view(), name="logout"),
    path("set-password/<str:key>/<str:token>/", views.SetPassword.as_view(), name="set-password"),
]
