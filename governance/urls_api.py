from django.urls import path

from . import api
from .customers import urls_api as customers
from .reviews import urls_api as reviews
from .tenant_data import urls_api as tenant_data

urlpatterns = [
    *reviews.urlpatterns,
    *customers.urlpatterns,
    *tenant_data.urlpatterns,
    path("tenants", api.TenantListView.as_view()),
    path("tenants/<slug:name>", api.TenantDetailView.as_view()),
    path("tenants/<slug:name>/activate", api.TenantActivateView.as_view()),
    path("tenants/<slug:name>/close", api.TenantCloseView.as_view()),
    path("tenants/<slug:name>/suspend", api.TenantSuspendView.as_view()),
    path("tenants/<slug:name>/limits", api.TenantLimitsView.as_view()),
    path("tenants/<slug:name>/resume", api.TenantResumeView.as_view()),
    path("tenants/<slug:name>/term", api.TenantTermView.as_view()),
]
