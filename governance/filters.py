from __future__ import annotations

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from tenants.registry.models import Tenant, TenantStatus


class TenantFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(
        label=_("Search"),
        method="with_text",
        widget=forms.SearchInput(attrs={"placeholder": _("Name, title, schema or host")}),
    )
    status = django_filters.ChoiceFilter(
        label=_("Status"), choices=TenantStatus.choices, empty_label=_("All")
    )

    def with_text(self, tenants: QuerySet[Tenant], _name: str, text: str) -> QuerySet[Tenant]:
        text = text.strip()
        fits = Q(name__icontains=text) | Q(title__icontains=text) | Q(schema_name__icontains=text)
        hosts = Tenant.objects.filter(domains__domain__icontains=text)
        return tenants.filter(fits | Q(pk__in=hosts.values("pk")))
