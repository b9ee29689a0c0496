"""Own sessions, tokens and second factor: the same pages on both kinds of host."""

from django.urls import path

from . import views
from .proof import views as proof
from .second_factor import views as second
from .sessions import views as sessions

urlpatterns = [
    path("security/", sessions.Security.as_view(), name="security"),
    path("security/password/", views.ChangePassword.as_view(), name="change-password"),
    path("security/prove/", proof.Prove.as_view(), name="prove"),
    path(
        "security/sessions/revoke-others/",
        sessions.SessionsRevoke.as_view(),
        name="sessions-revoke",
    ),
    path(
        "security/sessions/<str:handle>/revoke/",
        sessions.SessionRevoke.as_view(),
        name="session-revoke",
    ),
    path("security/tokens/revoke-all/", sessions.TokensRevoke.as_view(), name="tokens-revoke"),
    path(
        "security/tokens/<str:handle>/revoke/",
        sessions.TokenRevoke.as_view(),
        name="token-revoke",
    ),
    path("security/second-factor/", second.SecondFactorPage.as_view(), name="second-factor"),
    path(
        "security/second-factor/begin/",
        second.SecondFactorBegin.as_view(),
        name="second-factor-begin",
    ),
    path(
        "security/second-factor/remove/",
        second.SecondFactorRemove.as_view(),
        name="second-factor-remove",
    ),
    path(
        "security/recovery-codes/renew/",
        second.RecoveryCodesRenew.as_view(),
        name="recovery-codes-renew",
    ),
]
