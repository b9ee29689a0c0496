from __future__ import annotations

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from .models import Contact, Customer, CustomerStatus, CustomerTenant


class CustomerFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(
        label=_("Search"),
        method="with_text",
        widget=forms.SearchInput(attrs={"placeholder": _("Name, reference, contact, tenant")}),
    )
    status = django_filters.ChoiceFilter(
        label=_("Status"), choices=CustomerStatus.choices, empty_label=_("All")
    )

    def with_text(self, rows: QuerySet[Customer], _name: str, text: str) -> QuerySet[Customer]:
        text = text.strip()
        people = Contact.objects.filter(Q(name__icontains=text) | Q(email__icontains=text))
        tenants = CustomerTenant.objects.filter(
            Q(name__icontains=text) | Q(tenant__title__icontains=text)
        )
        return rows.filter(
            Q(name__icontains=text)
            | Q(reference__icontains=text)
            | Q(notes__icontains=text)
            | Q(pk__in=people.values("customer_id"))
            | Q(pk__in=tenants.values("customer_id"))
        )
