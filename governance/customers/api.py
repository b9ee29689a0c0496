from __future__ import annotations

from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from execfabric.core.errors import InvalidInput
from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from tenants.registry.models import Tenant
from tenants.registry.selectors import tenants_visible_to

from . import selectors, services
from .filters import CustomerFilter
from .models import Customer, CustomerStatus

TAGS = ["customers"]


class CustomerIn(serializers.Serializer):
    name = serializers.CharField(max_length=120)
    reference = serializers.CharField(max_length=60, required=False, allow_blank=True)
    status = serializers.ChoiceField(choices=CustomerStatus.choices, required=False)
    contract_begins_on = serializers.DateField(required=False, allow_null=True)
    contract_ends_on = serializers.DateField(required=False, allow_null=True)
    notes = serializers.CharField(max_length=10_000, required=False, allow_blank=True)


class ContactIn(serializers.Serializer):
    name = serializers.CharField(max_length=120)
    role = serializers.CharField(max_length=120, required=False, allow_blank=True)
    email = serializers.EmailField(required=False, allow_blank=True)
    phone = serializers.CharField(max_length=40, required=False, allow_blank=True)
    is_main = serializers.BooleanField(required=False)


class ContactOut(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    role = serializers.CharField()
    email = serializers.CharField()
    phone = serializers.CharField()
    is_main = serializers.BooleanField()


class LinkOut(serializers.Serializer):
    name = serializers.CharField()
    number = serializers.IntegerField(allow_null=True)
    linked_at = serializers.DateTimeField()
    deleted_at = serializers.DateTimeField(allow_null=True)


class CustomerOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    reference = serializers.CharField()
    status = serializers.CharField()
    contract_begins_on = serializers.DateField(allow_null=True)
    contract_ends_on = serializers.DateField(allow_null=True)
    notes = serializers.CharField()
    contacts = ContactOut(many=True)
    tenants = LinkOut(many=True, source="links")
    runs_30d = serializers.IntegerField(
        allow_null=True, help_text="Executions of its tenants in the last 30 days."
    )
    created_at = serializers.DateTimeField()


class CustomerApiView(ApiView):
    def customer(self, request: ApiRequest, customer_id: UUID) -> Customer:
        rows = selectors.customers_visible_to(request.actor)
        found: Customer = self.find(rows, pk=customer_id)
        return found

    def answer(self, request: ApiRequest, customer_id: UUID, *, status: int = 200) -> Response:
        return Response(CustomerOut(self.customer(request, customer_id)).data, status=status)


class CustomerListView(CustomerApiView):
    @extend_schema(
        operation_id="customers_list",
        tags=TAGS,
        parameters=[
            OpenApiParameter("q", description="In name, reference, notes, contacts, tenants."),
            OpenApiParameter("status"),
        ],
        responses={200: CustomerOut(many=True), **error_responses(400, 401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the customers, newest first."""
        rows = selectors.customers_visible_to(request.actor)
        found = CustomerFilter(request.query_params, queryset=rows)
        if not found.is_valid():
            wrong = {name: " ".join(texts) for name, texts in found.errors.items()}
            raise InvalidInput("The filter does not fit.", fields=wrong)
        return self.page(found.qs, CustomerOut)

    @extend_schema(
        operation_id="customers_create",
        tags=TAGS,
        request=CustomerIn,
        responses={201: CustomerOut, **error_responses(400, 401, 403, 409)},
    )
    def post(self, request: ApiRequest) -> Response:
        """Add a customer."""
        facts = services.CustomerFacts(**self.body(CustomerIn))
        customer = services.create_customer(
            actor=request.actor, facts=facts, created_at=timezone.now()
        )
        return self.answer(request, customer.pk, status=201)


class CustomerDetailView(CustomerApiView):
    @extend_schema(
        operation_id="customers_retrieve",
        tags=TAGS,
        responses={200: CustomerOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, customer_id: UUID) -> Response:
        """Return one customer."""
        return self.answer(request, customer_id)

    @extend_schema(
        operation_id="customers_change",
        tags=TAGS,
        request=CustomerIn,
        responses={200: CustomerOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def put(self, request: ApiRequest, customer_id: UUID) -> Response:
        """Write down anew what is known about a customer."""
        customer = self.customer(request, customer_id)
        facts = services.CustomerFacts(**self.body(CustomerIn))
        services.change_customer(
            actor=request.actor, customer=customer, facts=facts, changed_at=timezone.now()
        )
        return self.answer(request, customer_id)


class ContactListView(CustomerApiView):
    @extend_schema(
        operation_id="customers_add_contact",
        tags=TAGS,
        request=ContactIn,
        responses={201: CustomerOut, **error_responses(400, 401, 403, 404)},
    )
    def post(self, request: ApiRequest, customer_id: UUID) -> Response:
        """Add a contact."""
        customer = self.customer(request, customer_id)
        facts = services.ContactFacts(**self.body(ContactIn))
        services.add_contact(actor=request.actor, customer=customer, facts=facts)
        return self.answer(request, customer_id, status=201)


class ContactDetailView(CustomerApiView):
    @extend_schema(
        operation_id="customers_remove_contact",
        tags=TAGS,
        responses={204: None, **error_responses(401, 403, 404)},
    )
    def delete(self, request: ApiRequest, customer_id: UUID, contact_id: int) -> Response:
        """Remove a contact."""
        customer = self.customer(request, customer_id)
        contact = self.find(customer.contacts.all(), pk=contact_id)
        services.remove_contact(actor=request.actor, customer=customer, contact=contact)
        return Response(status=204)


class CustomerTenantView(CustomerApiView):
    @extend_schema(
        operation_id="customers_link_tenant",
        tags=TAGS,
        request=None,
        responses={200: CustomerOut, **error_responses(401, 403, 404, 409)},
    )
    def put(self, request: ApiRequest, customer_id: UUID, name: str) -> Response:
        """Note that a tenant is the customer's."""
        services.link_tenant(
            actor=request.actor,
            customer=self.customer(request, customer_id),
            tenant=self._tenant(request, name),
            linked_at=timezone.now(),
        )
        return self.answer(request, customer_id)

    @extend_schema(
        operation_id="customers_unlink_tenant",
        tags=TAGS,
        responses={204: None, **error_responses(401, 403, 404, 409)},
    )
    def delete(self, request: ApiRequest, customer_id: UUID, name: str) -> Response:
        """Take a tenant from the customer."""
        services.unlink_tenant(
            actor=request.actor,
            customer=self.customer(request, customer_id),
            tenant=self._tenant(request, name),
        )
        return Response(status=204)

    def _tenant(self, request: ApiRequest, name: str) -> Tenant:
        found: Tenant = self.find(tenants_visible_to(request.actor), name=name)
        return found
