"""What waits for somebody. Packages above add their own kinds, such as batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from skills.executions.models import Execution
from skills.executions.states import Status

from .authority import skills_to_approve
from .models import Consent, ConsentKind
from .rules import rules_in_force
from .voiding import STILL_ASKED

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits for somebody to act."""

    kind: str
    """"execution", or what another source calls its own."""
    id: str
    act: str
    """"confirm" or "approve"."""
    title: str
    risk: str
    asked_by: str
    reason: str
    since: datetime
    until: datetime
    """After it the answer is no."""
    is_overdue: bool
    """People were reminded, or are about to be."""
    url: str
    """Path of its page."""


@dataclass(frozen=True, slots=True)
class Source:
    count: Callable[[Actor], int]
    items: Callable[[Actor], list[Waiting]]


SOURCES: list[Source] = []


def add_source(source: Source) -> None:
    """Let a package show in the inbox what waits there; called in its ``apps.py``."""
    SOURCES.append(source)


def inbox_of(actor: Actor) -> list[Waiting]:
    """Return what waits for actor, the oldest first."""
    found = [one for source in SOURCES for one in source.items(actor)]
    return sorted(found, key=lambda one: one.since)[:MOST_SHOWN]


def badge_of(actor: Actor) -> str:
    """Return the count for the menu; empty for none."""
    count = sum(source.count(actor) for source in SOURCES)
    return str(count) if count else ""


def executions_waiting_for(actor: Actor) -> QuerySet[Execution]:
    """Return what actor must confirm, and what actor can approve and has not yet."""
    executions = Execution.objects.filter(STILL_ASKED)
    if actor.user_id is None or not can(actor, "executions.execution.read"):
        return executions.none()
    said = Consent.objects.filter(account_id=actor.user_id, kind=ConsentKind.APPROVE)
    own = Q(status=Status.AWAITING_CONFIRMATION, requested_by_id=actor.user_id)
    others = Q(status=Status.AWAITING_APPROVAL, skill_id__in=skills_to_approve(actor))
    others &= ~Q(requested_by_id=actor.user_id) & ~Q(pk__in=said.values("execution_id"))
    return executions.filter(own | others)


def _count(actor: Actor) -> int:
    return executions_waiting_for(actor).count()


def _items(actor: Actor) -> list[Waiting]:
    rules, now = rules_in_force(), timezone.now()
    waiting = executions_waiting_for(actor).select_related("version", "requested_by")
    shown = waiting.only(
        *("id", "status", "reason", "created_at", "version__title", "version__risk"),
        *("requested_by__username", "requested_by__display_name"),
    ).order_by("id")[:MOST_SHOWN]
    return [_item(one, now, rules.remind_after, rules.expires_after) for one in shown]


def _item(execution: Execution, now: datetime, remind: timedelta, expire: timedelta) -> Waiting:
    requester = execution.requested_by
    awaits_confirmation = execution.status == Status.AWAITING_CONFIRMATION
    return Waiting(
        kind="execution",
        id=str(execution.pk),
        act="confirm" if awaits_confirmation else "approve",
        title=execution.version.title,
        risk=execution.version.risk,
        asked_by=requester.get_full_name() if requester else "",
        reason=execution.reason,
        since=execution.created_at,
        until=execution.created_at + expire,
        is_overdue=execution.created_at < now - remind,
        url=reverse("executions:execution-detail", args=[execution.pk]),
    )


EXECUTIONS = Source(count=_count, items=_items)
