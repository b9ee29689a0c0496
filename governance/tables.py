from __future__ import annotations

from typing import Any

import django_tables2 as tables
from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from execfabric.web.templatetags.web import filesize_iec, status_badge, timesince_short
from tenants.registry.models import Tenant, TenantStatus

NUMBER: dict[str, dict[str, str]] = {"td": {"class": "num"}, "th": {"class": "num"}}
Ordered = tuple[QuerySet[Tenant], bool]


def page_of(tenant: Tenant) -> str:
    return reverse("governance:tenant-detail", args=[tenant.name])


class TenantTable(tables.Table):
    """Tenants, newest number first; needs domains prefetched and usage selected along."""

    title = tables.Column(_("Tenant"))
    status = tables.Column(_("Status"))
    runs = tables.Column(
        _("Executions, 30 days"), accessor="usage__runs_30d", default="–", attrs=NUMBER
    )
    stored = tables.Column(_("Stored"), default="–", attrs=NUMBER)
    active = tables.Column(_("Last active"), accessor="usage__last_activity_at", default="–")
    expires_on = tables.Column(_("Expires"), default="–")
    number = tables.Column(_("Number"), default="–", attrs=NUMBER)

    class Meta:
        row_attrs = {"data-row-link": page_of}
        attrs = {"class": "table tenants"}

    def render_title(self, value: str, record: Tenant) -> Any:
        domains = list(record.domains.all())
        host = next((one.domain for one in domains if one.is_primary), "")
        more = f" +{len(domains) - 1}" if len(domains) > 1 else ""
        return format_html(
            '<div><a class="fw-medium text-reset text-break" href="{}">{}</a>'
            '<div class="text-secondary small text-break">{}{}</div></div>',
            page_of(record),
            value,
            host,
            more,
        )

    def render_status(self, record: Tenant) -> Any:
        return status_badge(TenantStatus(record.status))

    def render_stored(self, value: int) -> str:
        return filesize_iec(value)

    def render_active(self, value: Any) -> Any:
        return timesince_short(value)

    def render_expires_on(self, value: Any) -> str:
        return str(value.isoformat())

    # What is not known comes last, whichever way it is sorted.
    def order_runs(self, rows: QuerySet[Tenant], is_descending: bool) -> Ordered:
        return _ordered(rows, "usage__runs_30d", is_descending)

    def order_stored(self, rows: QuerySet[Tenant], is_descending: bool) -> Ordered:
        return _ordered(rows, "stored", is_descending)

    def order_active(self, rows: QuerySet[Tenant], is_descending: bool) -> Ordered:
        return _ordered(rows, "usage__last_activity_at", is_descending)

    def order_expires_on(self, rows: QuerySet[Tenant], is_descending: bool) -> Ordered:
        return _ordered(rows, "expires_on", is_descending)


def _ordered(rows: QuerySet[Tenant], name: str, is_descending: bool) -> Ordered:
    by = F(name).desc(nulls_last=True) if is_descending else F(name).asc(nulls_last=True)
    return rows.order_by(by, "-pk"), True
