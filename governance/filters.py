from __future__ import annotations

from datetime import timedelta

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants.registry.models import OPEN_STATUSES, Tenant, TenantStatus


class TenantFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(
        label=_("Search"),
        method="with_text",
        widget=forms.SearchInput(attrs={"placeholder": _("Name, title, schema, host, customer")}),
    )
    status = django_filters.ChoiceFilter(
        label=_("Status"), choices=TenantStatus.choices, empty_label=_("All")
    )
    expires = django_filters.ChoiceFilter(
        label=_("Expires"),
        method="with_expiry",
        choices=[("past", _("Is over")), ("30", _("Within 30 days")), ("none", _("No end known"))],
        empty_label=_("All"),
    )
    used = django_filters.ChoiceFilter(
        label=_("Activity"),
        method="with_activity",
        choices=[("30", _("In the last 30 days")), ("idle", _("None for 30 days"))],
        empty_label=_("All"),
    )

    def with_text(self, tenants: QuerySet[Tenant], _name: str, text: str) -> QuerySet[Tenant]:
        text = text.strip()
        fits = Q(name__icontains=text) | Q(title__icontains=text) | Q(schema_name__icontains=text)
        hosts = Tenant.objects.filter(domains__domain__icontains=text)
        customers = Q(customer_link__customer__name__icontains=text)
        return tenants.filter(fits | customers | Q(pk__in=hosts.values("pk")))

    def with_expiry(self, tenants: QuerySet[Tenant], _name: str, which: str) -> QuerySet[Tenant]:
        today = timezone.now().date()
        if which == "none":
            return tenants.filter(expires_on__isnull=True)
        if which == "past":
            return tenants.filter(expires_on__lt=today)
        soon = Q(expires_on__lte=today + timedelta(days=30)) | Q(status=TenantStatus.EXPIRING)
        return tenants.filter(soon, status__in=OPEN_STATUSES)

    def with_activity(self, tenants: QuerySet[Tenant], _name: str, which: str) -> QuerySet[Tenant]:
        lately = Q(usage__last_activity_at__gte=timezone.now() - timedelta(days=30))
        return tenants.filter(lately) if which == "30" else tenants.exclude(lately)
