from django.urls import path

from . import api

urlpatterns = [
    path("customers", api.CustomerListView.as_view()),
    path("customers/<uuid:customer_id>", api.CustomerDetailView.as_view()),
    path("customers/<uuid:customer_id>/contacts", api.ContactListView.as_view()),
    path("customers/<uuid:customer_id>/contacts/<int:contact_id>", api.ContactDetailView.as_view()),
    path("customers/<uuid:customer_id>/tenants/<slug:name>", api.CustomerTenantView.as_view()),
]
