from django.urls import path

from .views import credentials, resources, trials

app_name = "http_access"

R = "http-resources/"
N = f"{R}<slug:name>/"
C = "credentials/"
urlpatterns = [
    path(R, resources.ResourceList.as_view(), name="resource-list"),
    path(f"{R}new/", resources.ResourceNew.as_view(), name="resource-new"),
    path(f"{R}import/", resources.ResourceImport.as_view(), name="resource-import"),
    path(N, resources.ResourceDetail.as_view(), name="resource-detail"),
    path(f"{N}revise/", resources.ResourceRevise.as_view(), name="resource-revise"),
    path(f"{N}disable/", resources.ResourceDisable.as_view(), name="resource-disable"),
    path(f"{N}enable/", resources.ResourceEnable.as_view(), name="resource-enable"),
    path(f"{N}addresses/", resources.AddressesOpen.as_view(), name="addresses-open"),
    path(f"{N}writes/", resources.WriteAllow.as_view(), name="write-allow"),
    path(
        f"{N}writes/<uuid:write_id>/revoke/", resources.WriteRevoke.as_view(), name="write-revoke"
    ),
    path(f"{N}grants/", resources.GrantGive.as_view(), name="grant-give"),
    path(
        f"{N}grants/<uuid:grant_id>/revoke/", resources.GrantRevoke.as_view(), name="grant-revoke"
    ),
    path(f"{N}try/", trials.ResourceTry.as_view(), name="resource-try"),
    path(f"{N}trials/<uuid:trial_id>/", trials.TrialDetail.as_view(), name="trial-detail"),
    path(C, credentials.CredentialList.as_view(), name="credential-list"),
    path(f"{C}new/", credentials.CredentialNew.as_view(), name="credential-new"),
    path(f"{C}<slug:name>/", credentials.CredentialDetail.as_view(), name="credential-detail"),
    path(
        f"{C}<slug:name>/replace/",
        credentials.CredentialReplace.as_view(),
        name="credential-replace",
    ),
    path(
        f"{C}<slug:name>/revoke/", credentials.CredentialRevoke.as_view(), name="credential-revoke"
    ),
]
