from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import F, Sum
from django.db.models.expressions import Combinable

from execfabric.core.actor import Actor
from execfabric.core.permissions import can

from .models import DailyRuns, ResourceHealth

READ = "registry.tenant.read"
FAILING_SHARE = 0.2
"""A resource is failing when of the calls of a day so many failed; refusals likewise."""


@dataclass(frozen=True, slots=True)
class Line:
    """Executions of one tenant, or of all others together, day by day."""

    label: str
    name: str
    """Of the tenant; empty for the rest."""
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class RunsOverTime:
    days: tuple[date, ...]
    lines: tuple[Line, ...]
    """The tenants with most executions first, the rest last."""
    failed: tuple[int, ...]
    """Of all of them, day by day."""

    @property
    def total(self) -> int:
        return sum(line.total for line in self.lines)


def runs_over_time(actor: Actor, now: datetime, *, days: int, top: int) -> RunsOverTime:
    """Return the executions of the last days by tenant, in three queries however many there are."""
    shown = tuple(now.date() - timedelta(days=ago) for ago in reversed(range(days)))
    if not can(actor, READ):
        return RunsOverTime(shown, (), tuple(0 for _day in shown))
    rows = DailyRuns.objects.filter(day__gte=shown[0]).exclude(tenant__kind="platform")
    most = list(
        rows.values("tenant_id", "tenant__title", "tenant__name")
        .annotate(sum=Sum("total"))
        .order_by("-sum", "tenant_id")[:top]
    )
    chosen = [one["tenant_id"] for one in most]
    by_tenant = {
        (tenant, day): total
        for tenant, day, total in rows.filter(tenant_id__in=chosen).values_list(
            "tenant_id", "day", "total"
        )
    }
    every = {
        day: (total, failed)
        for day, total, failed in rows.values_list("day").annotate(Sum("total"), Sum("failed"))
    }
    lines = [
        Line(
            one["tenant__title"],
            one["tenant__name"],
            tuple(by_tenant.get((one["tenant_id"], day), 0) for day in shown),
        )
        for one in most
    ]
    rest = tuple(
        every.get(day, (0, 0))[0] - sum(line.counts[place] for line in lines)
        for place, day in enumerate(shown)
    )
    if any(rest):
        lines.append(Line("", "", rest))
    return RunsOverTime(shown, tuple(lines), tuple(every.get(day, (0, 0))[1] for day in shown))


def runs_of(tenant_id: int, now: datetime, *, days: int) -> Sequence[tuple[date, int, int]]:
    """Return day, executions and failed ones of one tenant."""
    shown = [now.date() - timedelta(days=ago) for ago in reversed(range(days))]
    rows = DailyRuns.objects.filter(tenant_id=tenant_id, day__gte=shown[0])
    found = {
        day: (total, failed) for day, total, failed in rows.values_list("day", "total", "failed")
    }
    return [(day, *found.get(day, (0, 0))) for day in shown]


@dataclass(frozen=True, slots=True)
class FailingResource:
    """An HTTP resource with too many bad calls in the last 24 hours, of all tenants."""

    name: str
    calls: int
    failed: int


def failing_resources(actor: Actor) -> list[FailingResource]:
    """Return the resources of whose calls that were sent too many failed, the worst first.

    What the whitelist or the guard refused says nothing about a resource, and is in neither number.
    """
    return _bad_calls(actor, "failed", Sum("total") - Sum("refused"))


def refused_resources(actor: Actor) -> list[FailingResource]:
    """Return the resources of whose calls too many were not sent at all, the worst first."""
    return _bad_calls(actor, "refused", Sum("total"))


def _bad_calls(actor: Actor, what: str, calls: Combinable) -> list[FailingResource]:
    if not can(actor, READ):
        return []
    rows = (
        ResourceHealth.objects.values_list("name")
        .annotate(calls=calls, wrong=Sum(what))
        .filter(wrong__gt=0, wrong__gte=F("calls") * FAILING_SHARE)
        .order_by("-wrong", "name")
    )
    return [FailingResource(name, calls, wrong) for name, calls, wrong in rows]
