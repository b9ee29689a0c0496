from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from .models import YOUNGEST_DAYS
from .services import LONGEST_DAYS


class DaysForm(forms.Form):
    days = forms.IntegerField(label=_("Days"), min_value=YOUNGEST_DAYS, max_value=LONGEST_DAYS)
