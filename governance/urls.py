from django.urls import include, path

from . import views
from .dashboard.views import Home

app_name = "governance"

urlpatterns = [
    path("", Home.as_view(), name="home"),
    path("reviews/", include("governance.reviews.urls")),
    path("customers/", include("governance.customers.urls")),
    path("tenants/", views.TenantList.as_view(), name="tenant-list"),
    path("tenants/open/", views.TenantOpen.as_view(), name="tenant-open"),
    path("tenants/<slug:name>/", views.TenantDetail.as_view(), name="tenant-detail"),
    path("tenants/<slug:name>/activate/", views.TenantActivate.as_view(), name="tenant-activate"),
    path("tenants/<slug:name>/close/", views.TenantClose.as_view(), name="tenant-close"),
    path("tenants/<slug:name>/limits/", views.TenantLimits.as_view(), name="tenant-limits"),
    path("tenants/<slug:name>/resume/", views.TenantResume.as_view(), name="tenant-resume"),
    path("tenants/<slug:name>/suspend/", views.TenantSuspend.as_view(), name="tenant-suspend"),
    path("tenants/<slug:name>/term/", views.TenantTerm.as_view(), name="tenant-term"),
    path("", include("governance.tenant_data.urls")),
]
