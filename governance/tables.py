from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from execfabric.web.templatetags.web import status_badge, timesince_short
from tenants.registry.models import Tenant, TenantStatus


def page_of(tenant: Tenant) -> str:
    return reverse("governance:tenant-detail", args=[tenant.name])


class TenantTable(tables.Table):
    """Tenants, newest number first; needs their domains prefetched."""

    title = tables.Column(_("Tenant"))
    status = tables.Column(_("Status"), orderable=False)
    host = tables.Column(_("Host"), empty_values=(), orderable=False)
    number = tables.Column(_("Number"), default="–")
    created_at = tables.Column(_("Opened"))

    class Meta:
        row_attrs = {"data-row-link": page_of}

    def render_title(self, value: str, record: Tenant) -> Any:
        return format_html(
            '<a class="fw-medium text-reset text-break" href="{}">{}</a>', page_of(record), value
        )

    def render_status(self, record: Tenant) -> Any:
        return status_badge(TenantStatus(record.status))

    def render_host(self, record: Tenant) -> str:
        domains = list(record.domains.all())
        primary = next((one.domain for one in domains if one.is_primary), "–")
        return f"{primary} +{len(domains) - 1}" if len(domains) > 1 else primary

    def render_created_at(self, value: Any) -> Any:
        return timesince_short(value)
