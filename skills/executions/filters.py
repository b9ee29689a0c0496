from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from skills.catalogue.models import Skill
from skills.catalogue.selectors import skills_visible_to
from skills.catalogue.tables import UNLISTED

from .models import Execution
from .states import FINAL, WAITING, Status

STOPPED = frozenset({Status.CANCELLED, Status.REJECTED, Status.EXPIRED})
IN_PROGRESS = frozenset({Status.QUEUED, Status.RUNNING})

TABS: dict[str, tuple[Any, frozenset[Status]]] = {
    "waiting": (_("Waiting for a person"), WAITING),
    "active": (_("In progress"), IN_PROGRESS),
    "succeeded": (_("Succeeded"), frozenset({Status.SUCCEEDED})),
    "failed": (_("Failed"), FINAL - STOPPED - {Status.SUCCEEDED}),
    "stopped": (_("Stopped"), STOPPED),
}
"""The tabs above the list: key, (label, states)."""


class SkillChoice(forms.ModelChoiceField):
    def label_from_instance(self, skill: Skill) -> str:
        return skill.version.title if skill.version else skill.name


class SkillChoiceFilter(django_filters.ModelChoiceFilter):
    field_class = SkillChoice


class ExecutionFilter(django_filters.FilterSet):
    """Tab, skill, and for those who see everybody's executions who asked."""

    status = django_filters.ChoiceFilter(
        choices=[(key, label) for key, (label, _states) in TABS.items()],
        method="in_tab",
        widget=forms.HiddenInput,
    )
    skill = SkillChoiceFilter(
        label=_("Skill"), to_field_name="name", queryset=Skill.objects.none(), empty_label=_("All")
    )
    who = django_filters.CharFilter(
        label=_("Who"),
        method="by",
        widget=forms.SearchInput(attrs={"placeholder": _("Username")}),
    )

    def __init__(self, data: Any, *, queryset: QuerySet[Execution], actor: Actor) -> None:
        super().__init__(data, queryset=queryset)
        self.filters["skill"].queryset = skills_visible_to(actor).defer(*UNLISTED)
        if not can(actor, "executions.execution.read_all"):
            del self.filters["who"]

    @property
    def tab(self) -> str:
        """Key of the tab chosen, or an empty string for all."""
        return str(self.form.cleaned_data.get("status") or "") if self.form.is_valid() else ""

    def in_tab(self, runs: QuerySet[Execution], _name: str, tab: str) -> QuerySet[Execution]:
        return runs.filter(status__in=TABS[tab][1])

    def by(self, runs: QuerySet[Execution], _name: str, who: str) -> QuerySet[Execution]:
        named = Q(requested_by__username__icontains=who.strip())
        return runs.filter(named | Q(requested_by__display_name__icontains=who.strip()))
