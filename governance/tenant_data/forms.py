from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class ScheduleForm(forms.Form):
    """The rules are the service's; here is the shape only."""

    confirmation = forms.CharField(
        label=_("Name of the tenant"),
        max_length=40,
        help_text=_("Type it, so that it is the right one."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    reason = forms.CharField(
        label=_("Reason"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3})
    )
