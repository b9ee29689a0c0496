from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from execfabric.core.actions import ACTIONS
from execfabric.core.actor import current_schema
from execfabric.core.models import AuditEvent, Outcome
from execfabric.core.permissions import PERMISSIONS
from execfabric.core.roles import PLATFORM, SYSTEM

PUBLIC_SCHEMA = "public"


def act_choices(schema: str) -> list[tuple[str, str]]:
    """Return (code, title) of every act that can occur in schema, by title."""
    platform_only = PLATFORM | SYSTEM
    acts = (PERMISSIONS[code] for code in ACTIONS)
    possible = [
        act
        for act in acts
        if schema == PUBLIC_SCHEMA or not act.roles & PLATFORM or not act.roles <= platform_only
    ]
    return sorted(((act.code, act.title) for act in possible), key=lambda choice: choice[1])


class EventFilter(django_filters.FilterSet):
    """Filters of the audit trail. Days are in the current time zone, both included."""

    code = django_filters.ChoiceFilter(label=_("Act"), empty_label=_("All"))
    outcome = django_filters.ChoiceFilter(
        label=_("Outcome"), choices=Outcome.choices, empty_label=_("All")
    )
    actor = django_filters.CharFilter(
        label=_("Who"), field_name="actor_name", lookup_expr="icontains", widget=forms.SearchInput
    )
    target = django_filters.CharFilter(label=_("Object"), method="about", widget=forms.SearchInput)
    since = django_filters.DateFilter(
        label=_("From"),
        field_name="at",
        lookup_expr="date__gte",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    until = django_filters.DateFilter(
        label=_("To"),
        field_name="at",
        lookup_expr="date__lte",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    request_id = django_filters.CharFilter(label=_("Request"), widget=forms.SearchInput)

    def __init__(self, data: Any, *, queryset: QuerySet[AuditEvent]) -> None:
        super().__init__(data, queryset=queryset)
        self.filters["code"].extra["choices"] = act_choices(current_schema())

    def about(self, events: QuerySet[AuditEvent], _name: str, text: str) -> QuerySet[AuditEvent]:
        """Find what the column shows: the object's name or id, or the username that was tried."""
        wanted = text.strip()
        named = Q(target_label__icontains=wanted) | Q(target_id=wanted)
        return events.filter(named | Q(target_label="", details__username__icontains=wanted))
