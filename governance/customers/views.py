from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tables2 import RequestConfig

from execfabric.core.errors import DomainError
from execfabric.core.permissions import can
from execfabric.core.selectors import audit_events_visible_to
from execfabric.web.requests import ConsoleRequest

from ..views import PER_PAGE, PlatformView
from . import selectors, services
from .filters import CustomerFilter
from .forms import ContactForm, CustomerForm, LinkForm
from .models import Customer, CustomerStatus
from .tables import CustomerTable


class CustomerView(PlatformView):
    permission = selectors.READ

    def customer(self, customer_id: UUID) -> Customer:
        rows = selectors.customers_visible_to(self.request.actor)
        return get_object_or_404(rows, pk=customer_id)


class CustomerList(CustomerView):
    template_name = "customers/customer_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        rows = selectors.customers_visible_to(request.actor)
        found = CustomerFilter(request.GET, queryset=rows)
        table = CustomerTable(found.qs)
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        may_create = can(request.actor, "customers.customer.create")
        return self.render(filter=found, table=table, may_create=may_create)


class CustomerNew(CustomerView):
    template_name = "customers/customer_form.html"
    permission = "customers.customer.create"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(form=CustomerForm())

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = CustomerForm(request.POST)
        if not form.is_valid():
            return self.invalid(form)
        try:
            customer = services.create_customer(
                actor=request.actor,
                facts=services.CustomerFacts(**form.cleaned_data),
                created_at=timezone.now(),
            )
        except DomainError as error:
            return self.invalid(form, error=error)
        return redirect("governance:customer-detail", customer.pk)


class CustomerChange(CustomerView):
    template_name = "customers/customer_form.html"
    permission = "customers.customer.change"

    def get(self, request: ConsoleRequest, customer_id: UUID) -> HttpResponse:
        customer = self.customer(customer_id)
        known = {name: getattr(customer, name) for name in CustomerForm.base_fields}
        return self.render(form=CustomerForm(initial=known), customer=customer)

    def post(self, request: ConsoleRequest, customer_id: UUID) -> HttpResponse:
        customer = self.customer(customer_id)
        form = CustomerForm(request.POST)
        if not form.is_valid():
            return self.invalid(form, customer=customer)
        try:
            services.change_customer(
                actor=request.actor,
                customer=customer,
                facts=services.CustomerFacts(**form.cleaned_data),
                changed_at=timezone.now(),
            )
        except DomainError as error:
            return self.invalid(form, error=error, customer=customer)
        messages.success(request, _("Saved."))
        return redirect("governance:customer-detail", customer_id)


class CustomerPage(CustomerView):
    """The page of one customer, also shown again when a form on it does not fit."""

    template_name = "customers/customer_detail.html"

    def facts(self, customer: Customer, **forms_shown: forms.Form) -> dict[str, Any]:
        about = audit_events_visible_to(self.request.actor).filter(
            target_type="customers.customer", target_id=str(customer.pk)
        )
        return {
            "customer": customer,
            "state": CustomerStatus(customer.status),
            "contact_form": ContactForm(auto_id="contact_%s"),
            "link_form": LinkForm(),
            "events": self.latest(about),
            "may": {
                verb: can(self.request.actor, f"customers.{code}", customer)
                for verb, code in {
                    "change": "customer.change",
                    "add": "contact.add",
                    "link": "tenant.link",
                }.items()
            },
            **forms_shown,
        }


class CustomerDetail(CustomerPage):
    def get(self, request: ConsoleRequest, customer_id: UUID) -> HttpResponse:
        return self.render(**self.facts(self.customer(customer_id)))


class ContactAdd(CustomerPage):
    permission = "customers.contact.add"

    def post(self, request: ConsoleRequest, customer_id: UUID) -> HttpResponse:
        customer = self.customer(customer_id)
        form = ContactForm(request.POST, auto_id="contact_%s")
        if not form.is_valid():
            return self.invalid(form, **self.facts(customer, contact_form=form))
        try:
            services.add_contact(
                actor=request.actor,
                customer=customer,
                facts=services.ContactFacts(**form.cleaned_data),
            )
        except DomainError as error:
            return self.invalid(form, error=error, **self.facts(customer, contact_form=form))
        return redirect("governance:customer-detail", customer_id)


class ContactRemove(CustomerView):
    permission = "customers.contact.remove"

    def post(self, request: ConsoleRequest, customer_id: UUID, contact_id: int) -> HttpResponse:
        customer = self.customer(customer_id)
        contact = get_object_or_404(customer.contacts, pk=contact_id)
        services.remove_contact(actor=request.actor, customer=customer, contact=contact)
        messages.success(request, _("Removed."))
        return redirect("governance:customer-detail", customer_id)


class TenantLink(CustomerPage):
    permission = "customers.tenant.link"

    def post(self, request: ConsoleRequest, customer_id: UUID) -> HttpResponse:
        customer = self.customer(customer_id)
        form = LinkForm(request.POST)
        if not form.is_valid():
            return self.invalid(form, **self.facts(customer, link_form=form))
        services.link_tenant(
            actor=request.actor,
            customer=customer,
            tenant=form.cleaned_data["tenant"],
            linked_at=timezone.now(),
        )
        return redirect("governance:customer-detail", customer_id)


class TenantUnlink(CustomerView):
    permission = "customers.tenant.unlink"

    def post(self, request: ConsoleRequest, customer_id: UUID, name: str) -> HttpResponse:
        services.unlink_tenant(
            actor=request.actor, customer=self.customer(customer_id), tenant=self.tenant(name)
        )
        return redirect("governance:customer-detail", customer_id)
