from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from tenants.registry.models import Tenant, TenantKind

from .models import CustomerStatus


def _day() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class CustomerForm(forms.Form):
    """The shape of what is written down; the rules are the service's."""

    name = forms.CharField(label=_("Name"), max_length=120)
    reference = forms.CharField(
        label=_("Reference"),
        max_length=60,
        required=False,
        help_text=_("Number of the customer or contract in your own books."),
    )
    status = forms.ChoiceField(
        label=_("Status"), choices=CustomerStatus.choices, initial=CustomerStatus.PROSPECT
    )
    contract_begins_on = forms.DateField(label=_("Contract begins"), required=False, widget=_day())
    contract_ends_on = forms.DateField(
        label=_("Contract ends"),
        required=False,
        widget=_day(),
        help_text=_("Its last day. Empty: it has no end."),
    )
    notes = forms.CharField(
        label=_("Notes"),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 4}),
    )


class ContactForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120)
    role = forms.CharField(label=_("Role"), max_length=120, required=False)
    email = forms.EmailField(label=_("E-mail"), required=False)
    phone = forms.CharField(label=_("Telephone"), max_length=40, required=False)
    is_main = forms.BooleanField(label=_("Main contact"), required=False)


class LinkForm(forms.Form):
    tenant = forms.ModelChoiceField(
        label=_("Tenant"), queryset=Tenant.objects.none(), to_field_name="name"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        free = Tenant.objects.filter(kind=TenantKind.CUSTOMER, customer_link__isnull=True)
        chosen: Any = self.fields["tenant"]
        chosen.queryset = free.order_by("title")
        chosen.label_from_instance = lambda tenant: f"{tenant.title} ({tenant.name})"
