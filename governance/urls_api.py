from django.urls import path

from . import api
from .reviews import urls_api as reviews

urlpatterns = [
    *reviews.urlpatterns,
    path("tenants", api.TenantListView.as_view()),
    path("tenants/<slug:name>", api.TenantDetailView.as_view()),
    path("tenants/<slug:name>/suspend", api.TenantSuspendView.as_view()),
    path("tenants/<slug:name>/limits", api.TenantLimitsView.as_view()),
    path("tenants/<slug:name>/resume", api.TenantResumeView.as_view()),
]
