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
from skills.executions.filters import SkillChoiceFilter

from .models import Batch
from .states import WAITING, BatchStatus

TABS: dict[str, tuple[Any, frozenset[BatchStatus]]] = {
    "waiting": (_("Waiting for a person"), WAITING),
    "draft": (_("Drafts"), frozenset({BatchStatus.DRAFT})),
    "active": (
        _("In progress"),
        frozenset({BatchStatus.RUNNING, BatchStatus.PAUSED, BatchStatus.CANCELLING}),
    ),
    "finished": (_("Finished"), frozenset({BatchStatus.FINISHED})),
    "stopped": (
        _("Stopped"),
        frozenset({BatchStatus.CANCELLED, BatchStatus.REJECTED, BatchStatus.EXPIRED}),
    ),
}
"""The tabs above the list: key, (label, states)."""


class BatchFilter(django_filters.FilterSet):
    """Tab, skill, and for those who see everybody's batches who asked."""

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

    def __init__(self, data: Any, *, queryset: QuerySet[Batch], actor: Actor) -> None:
        super().__init__(data, queryset=queryset)
        self.filters["skill"].queryset = skills_visible_to(actor).defer(*UNLISTED)
        if not can(actor, "batches.batch.read_all"):
            del self.filters["who"]

    @property
    def tab(self) -> str:
        """The tab that is open, empty for all."""
        form = self.form
        return str(form.cleaned_data.get("status") or "") if form.is_valid() else ""

    def in_tab(self, batches: QuerySet[Batch], _name: str, tab: str) -> QuerySet[Batch]:
        return batches.filter(status__in=TABS[tab][1])

    def by(self, batches: QuerySet[Batch], _name: str, who: str) -> QuerySet[Batch]:
        named = Q(requested_by__username__icontains=who.strip())
        return batches.filter(named | Q(requested_by__display_name__icontains=who.strip()))
