from __future__ import annotations

from django import forms
from django.conf import settings
from django.utils.functional import lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants.registry.services import MOST_CONCURRENCY


def _name_help() -> str:
    return gettext("It becomes the address: <name>.%(base)s. It cannot be changed later.") % {
        "base": settings.BASE_DOMAIN
    }


class OpenTenantForm(forms.Form):
    """What opening a tenant needs. The rules are the service's; here is the shape only."""

    name = forms.CharField(
        label=_("Name"),
        max_length=40,
        help_text=lazy(_name_help, str)(),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    title = forms.CharField(
        label=_("Title"), max_length=100, help_text=_("What people call this customer.")
    )
    domain = forms.CharField(
        label=_("Own domain"),
        max_length=253,
        required=False,
        help_text=_("A further host name that leads to this tenant, without a port."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    username = forms.CharField(
        label=_("Username of the owner"),
        max_length=150,
        initial="owner",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    display_name = forms.CharField(label=_("Name of the owner"), max_length=100, required=False)
    email = forms.EmailField(label=_("E-mail of the owner"), required=False)
    password = forms.CharField(
        label=_("Initial password"),
        max_length=4096,
        strip=False,
        required=False,
        help_text=_("Leave it empty to get a link with which the owner sets it; it works once."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_name(self) -> str:
        return str(self.cleaned_data["name"]).strip().lower()


class LimitsForm(forms.Form):
    concurrency = forms.IntegerField(
        label=_("Executions at once"),
        required=False,
        min_value=1,
        max_value=MOST_CONCURRENCY,
        help_text=_("Empty: as many as there are workers. What is over the limit waits."),
    )


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=2000)


class OptionalReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=2000, required=False)


class TermForm(forms.Form):
    expires_on = forms.DateField(
        label=_("Last day"),
        required=False,
        help_text=_("In UTC. Empty: no end is known. Nobody is shut out by it."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
