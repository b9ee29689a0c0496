from django.urls import path

from . import views

app_name = "admins"

A = "administrators/"
N = f"{A}<int:account_id>/"
urlpatterns = [
    path(A, views.AccountList.as_view(), name="account-list"),
    path(f"{A}invite/", views.SuperAdminInvite.as_view(), name="super-admin-invite"),
    path(f"{A}whitelist/", views.TenantAdminInvite.as_view(), name="tenant-admin-invite"),
    path(N, views.AccountDetail.as_view(), name="account-detail"),
    path(f"{N}disable/", views.AccountDisable.as_view(), name="account-disable"),
    path(f"{N}enable/", views.AccountEnable.as_view(), name="account-enable"),
    path(f"{N}link/", views.AccountLink.as_view(), name="account-link"),
    path(f"{N}second-factor/reset/", views.SecondFactorReset.as_view(), name="second-factor-reset"),
    path(f"{N}sessions/end/", views.SessionsEnd.as_view(), name="sessions-end"),
    path(f"{N}sessions/<str:handle>/end/", views.SessionEnd.as_view(), name="session-end"),
    path(f"{N}tenants/", views.DoorsChange.as_view(), name="doors-change"),
]
