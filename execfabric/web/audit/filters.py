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
LOGINS = "logins"
OPERATIONS = "operations"
LOGS = {"": _("Everything"), LOGINS: _("Logins"), OPERATIONS: _("Operations")}
"""Which part of the trail a page shows, by the filter ``log``."""
LOGIN_AREA = "accounts."
LOGIN_OBJECTS = ("session", "token", "password", "second_factor", "recovery_codes")
"""What acts of logging in are about, by the middle of their codes."""


def is_login(code: str) -> bool:
    return code.startswith(LOGIN_AREA) and code.split(".")[1] in LOGIN_OBJECTS


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
    address = django_filters.CharFilter(label=_("Address"), widget=forms.SearchInput)
    request_id = django_filters.CharFilter(label=_("Request"), widget=forms.SearchInput)

    object = django_filters.CharFilter(method="about_one", widget=forms.HiddenInput)
    """``<type>:<id>``, or ``<type>:<id>:<name>`` with its parts: versions, grants, …"""
    log = django_filters.CharFilter(method="of_log", widget=forms.HiddenInput)

    def __init__(self, data: Any, *, queryset: QuerySet[AuditEvent]) -> None:
        super().__init__(data, queryset=queryset)
        self.filters["code"].extra["choices"] = act_choices(current_schema())

    def about(self, events: QuerySet[AuditEvent], _name: str, text: str) -> QuerySet[AuditEvent]:
        """Find what the column shows: the object's name or id, or the username that was tried."""
        wanted = text.strip()
        named = Q(target_label__icontains=wanted) | Q(target_id=wanted)
        return events.filter(named | Q(target_label="", details__username__icontains=wanted))

    def about_one(
        self, events: QuerySet[AuditEvent], _name: str, text: str
    ) -> QuerySet[AuditEvent]:
        """Find the events about one object; with its name, those about its parts, too."""
        kind, _colon, rest = text.partition(":")
        object_id, _colon, name = rest.partition(":")
        wanted = Q(target_type=kind, target_id=object_id)
        if name:
            area = f"{kind.partition('.')[0]}."
            for follows in (" v", " r", ": ", " by "):
                wanted |= Q(target_type__startswith=area, target_label__startswith=name + follows)
        return events.filter(wanted)

    def of_log(self, events: QuerySet[AuditEvent], _name: str, text: str) -> QuerySet[AuditEvent]:
        about = (f"{LOGIN_AREA}{one}." for one in LOGIN_OBJECTS)
        logins = Q()
        for prefix in about:
            logins |= Q(code__startswith=prefix)
        if text == LOGINS:
            return events.filter(logins)
        if text == OPERATIONS:  # What people did, and not the platform by itself.
            return events.filter(~logins).exclude(actor_name__startswith="system:")
        return events
