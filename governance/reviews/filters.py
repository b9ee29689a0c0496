from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from skills.catalogue.models import Risk
from skills.hot_update.models import Submission
from skills.hot_update.reviewing.selectors import WAITING
from skills.hot_update.states import SubmissionStatus
from tenants.registry.models import Tenant

WAITS, ALL = "waits", "all"


class SubmissionFilter(django_filters.FilterSet):
    """The queue; without a choice it holds what waits for a reviewer."""

    q = django_filters.CharFilter(
        label=_("Search"),
        method="with_text",
        widget=forms.SearchInput(attrs={"placeholder": _("Skill or person")}),
    )
    status = django_filters.ChoiceFilter(
        label=_("Status"),
        method="with_status",
        choices=[(ALL, _("All")), *SubmissionStatus.choices],
        empty_label=_("Waiting for a reviewer"),
    )
    tenant = django_filters.ModelChoiceFilter(
        label=_("Tenant"),
        queryset=Tenant.objects.order_by("title"),
        to_field_name="name",
        empty_label=_("All"),
    )
    risk = django_filters.ChoiceFilter(
        label=_("Risk"), method="with_risk", choices=Risk.choices, empty_label=_("All")
    )

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = super().filter_queryset(queryset)
        if not self.form.cleaned_data.get("status"):
            found = found.filter(status__in=WAITING)
        return found

    def with_text(self, rows: QuerySet[Submission], _name: str, text: str) -> QuerySet[Submission]:
        wanted = text.strip()
        return rows.filter(Q(skill_name__icontains=wanted) | Q(sent_by__icontains=wanted))

    def with_status(
        self, rows: QuerySet[Submission], _name: str, status: str
    ) -> QuerySet[Submission]:
        return rows if status == ALL else rows.filter(status=status)

    def with_risk(self, rows: Any, _name: str, risk: str) -> Any:
        return rows.filter(risk=risk)
