from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from execfabric.web.templatetags.web import status_badge

from .models import Customer, CustomerStatus

NUMBER: dict[str, dict[str, str]] = {"td": {"class": "num"}, "th": {"class": "num"}}


def page_of(customer: Customer) -> str:
    return reverse("governance:customer-detail", args=[customer.pk])


class CustomerTable(tables.Table):
    """Customers by name; needs contacts prefetched and the counts of the selector."""

    name = tables.Column(_("Customer"))
    status = tables.Column(_("Status"))
    contact = tables.Column(_("Contact"), empty_values=(), orderable=False)
    tenants = tables.Column(_("Tenants"), attrs=NUMBER)
    runs_30d = tables.Column(_("Executions, 30 days"), default="–", attrs=NUMBER)
    contract_ends_on = tables.Column(_("Contract ends"), default="–")

    class Meta:
        row_attrs = {"data-row-link": page_of}

    def render_name(self, value: str, record: Customer) -> Any:
        return format_html(
            '<div><a class="fw-medium text-reset text-break" href="{}">{}</a>'
            '<div class="text-secondary small text-break">{}</div></div>',
            page_of(record),
            value,
            record.reference,
        )

    def render_status(self, record: Customer) -> Any:
        return status_badge(CustomerStatus(record.status))

    def render_contact(self, record: Customer) -> str:
        first = next(iter(record.contacts.all()), None)
        return first.name if first is not None else "–"

    def render_contract_ends_on(self, value: Any) -> str:
        return str(value.isoformat())
