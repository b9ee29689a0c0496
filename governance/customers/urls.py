from django.urls import path

from . import views

urlpatterns = [
    path("", views.CustomerList.as_view(), name="customer-list"),
    path("new/", views.CustomerNew.as_view(), name="customer-new"),
    path("<uuid:customer_id>/", views.CustomerDetail.as_view(), name="customer-detail"),
    path("<uuid:customer_id>/change/", views.CustomerChange.as_view(), name="customer-change"),
    path("<uuid:customer_id>/contacts/", views.ContactAdd.as_view(), name="contact-add"),
    path(
        "<uuid:customer_id>/contacts/<int:contact_id>/remove/",
        views.ContactRemove.as_view(),
        name="contact-remove",
    ),
    path("<uuid:customer_id>/tenants/", views.TenantLink.as_view(), name="customer-link"),
    path(
        "<uuid:customer_id>/tenants/<slug:name>/unlink/",
        views.TenantUnlink.as_view(),
        name="customer-unlink",
    ),
]
