from django.urls import include, path

from . import api

urlpatterns = [
    path("", include("governance.reviews.urls_api")),
    path("tenants", api.TenantListView.as_view()),
    path("tenants/<slug:name>", api.TenantDetailView.as_view()),
    path("tenants/<slug:name>/suspend", api.TenantSuspendView.as_view()),
    path("tenants/<slug:name>/limits", api.TenantLimitsView.as_view()),
    path("tenants/<slug:name>/resume", api.TenantResumeView.as_view()),
]
