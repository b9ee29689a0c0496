from django.urls import include, path

from . import views

app_name = "governance"

urlpatterns = [
    path("", views.Home.as_view(), name="home"),
    path("reviews/", include("governance.reviews.urls")),
    path("tenants/", views.TenantList.as_view(), name="tenant-list"),
    path("tenants/open/", views.TenantOpen.as_view(), name="tenant-open"),
    path("tenants/<slug:name>/", views.TenantDetail.as_view(), name="tenant-detail"),
    path("tenants/<slug:name>/suspend/", views.TenantSuspend.as_view(), name="tenant-suspend"),
    path("tenants/<slug:name>/limits/", views.TenantLimits.as_view(), name="tenant-limits"),
    path("tenants/<slug:name>/resume/", views.TenantResume.as_view(), name="tenant-resume"),
]
