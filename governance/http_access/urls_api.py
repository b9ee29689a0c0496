from django.urls import path

from . import api, api_credentials

R = "http-resources"
N = f"{R}/<slug:name>"
C = "credentials"
urlpatterns = [
    path(R, api.ResourceListView.as_view()),
    path(f"{R}/import", api.ResourceImportView.as_view()),
    path(N, api.ResourceDetailView.as_view()),
    path(f"{N}/versions", api.VersionListView.as_view()),
    path(f"{N}/dry-run", api.DryRunView.as_view()),
    path(f"{N}/trials", api.TrialListView.as_view()),
    path(f"{N}/trials/<uuid:trial_id>", api.TrialDetailView.as_view()),
    path(f"{N}/disable", api.ResourceDisableView.as_view()),
    path(f"{N}/enable", api.ResourceEnableView.as_view()),
    path(f"{N}/addresses", api.AddressesView.as_view()),
    path(f"{N}/writes", api.WriteListView.as_view()),
    path(f"{N}/writes/<uuid:write_id>/revoke", api.WriteRevokeView.as_view()),
    path(f"{N}/grants", api.GrantListView.as_view()),
    path(f"{N}/grants/<uuid:grant_id>/revoke", api.GrantRevokeView.as_view()),
    path(C, api_credentials.CredentialListView.as_view()),
    path(f"{C}/<slug:name>", api_credentials.CredentialDetailView.as_view()),
    path(f"{C}/<slug:name>/replace", api_credentials.CredentialReplaceView.as_view()),
    path(f"{C}/<slug:name>/revoke", api_credentials.CredentialRevokeView.as_view()),
]
