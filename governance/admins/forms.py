from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from tenants.registry.models import Tenant


class InviteForm(forms.Form):
    username = forms.CharField(
        label=_("Username"),
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    display_name = forms.CharField(label=_("Name"), max_length=100, required=False)
    email = forms.EmailField(label=_("E-mail"), required=False)


class DoorsForm(forms.Form):
    tenants = forms.ModelMultipleChoiceField(
        label=_("Tenants"),
        queryset=Tenant.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Their doors, and nothing else, are shown to this person."),
    )

    def __init__(self, *args: Any, tenants: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["tenants"]
        field.queryset = tenants
        field.label_from_instance = lambda tenant: tenant.title


class TenantAdminForm(DoorsForm, InviteForm):
    field_order = ("username", "display_name", "email", "tenants")
