"""What waits for the super-admin who looks: one function for each kind, each a query or two.

A later kind is one more function with ``@waits``; the page shows whatever there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from skills.hot_update.reviewing.selectors import WAITING, submissions_to_review
from tenants.registry.models import OPEN_STATUSES, TenantStatus
from tenants.registry.selectors import tenants_visible_to

from ..http_access.models import WARN_BEFORE, HttpCredential
from ..http_access.selectors import READ as READ_CREDENTIALS
from ..tenant_data.selectors import deletions_visible_to, exports_visible_to
from ..tenant_data.states import DeletionStatus, ExportStatus
from ..usage.selectors import FailingResource, failing_resources, refused_resources

SHOWN = 4
EXPIRY_WARNED = timedelta(days=30)
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Item:
    label: str
    url: str
    note: str = ""
    since: datetime | None = None
    """Shown as an age, or as how long there is left."""


@dataclass(slots=True)
class Waiting:
    """Everything of one kind that waits; none of it where there is nothing."""

    title: str
    icon: str
    url: str
    count: int
    items: list[Item] = field(default_factory=list)
    is_urgent: bool = False


Source = Callable[[Actor, datetime], Waiting | None]
SOURCES: list[Source] = []


def waits(source: Source) -> Source:
    SOURCES.append(source)
    return source


def waiting_for(actor: Actor, now: datetime) -> list[Waiting]:
    """Return what waits, what is urgent first."""
    found = [waiting for source in SOURCES if (waiting := source(actor, now)) is not None]
    return sorted(found, key=lambda one: not one.is_urgent)


def _first(rows: QuerySet[Row]) -> tuple[list[Row], int]:
    """Return the first of rows, and how many there are, for which few rows need no query more."""
    some = list(rows[: SHOWN + 1])
    return some[:SHOWN], len(some) if len(some) <= SHOWN else rows.count()


@waits
def reviews(actor: Actor, now: datetime) -> Waiting | None:
    rows: QuerySet[Any] = submissions_to_review(actor).filter(status__in=WAITING)
    some, count = _first(rows.order_by("sent_at", "pk"))
    if not some:
        return None
    return Waiting(
        _("Reviews"),
        "checklist",
        reverse("governance:review-list"),
        count,
        [
            Item(
                one.skill_name,
                reverse("governance:review-detail", args=[one.pk]),
                one.tenant.title,
                one.sent_at,
            )
            for one in some
        ],
    )


@waits
def deletions(actor: Actor, now: datetime) -> Waiting | None:
    rows = deletions_visible_to(actor).filter(
        status__in=[DeletionStatus.SCHEDULED, DeletionStatus.RUNNING, DeletionStatus.FAILED]
    )
    some = list(rows.order_by("due_at"))
    if not some:
        return None
    return Waiting(
        _("Deletions of tenants"),
        "trash",
        reverse("governance:deletion-list"),
        len(some),
        [
            Item(
                one.title,
                reverse("governance:deletion-detail", args=[one.pk]),
                str(one.get_status_display()),
                one.due_at if one.status == DeletionStatus.SCHEDULED else None,
            )
            for one in some[:SHOWN]
        ],
        is_urgent=any(one.status == DeletionStatus.FAILED for one in some),
    )


@waits
def failed_exports(actor: Actor, now: datetime) -> Waiting | None:
    some, count = _first(exports_visible_to(actor).filter(status=ExportStatus.FAILED))
    if not some:
        return None
    return Waiting(
        _("Failed exports"),
        "file-alert",
        reverse("governance:deletion-list"),
        count,
        [
            Item(
                one.title,
                reverse("governance:export-detail", args=[one.pk]),
                since=one.touched_at,
            )
            for one in some
        ],
        is_urgent=True,
    )


@waits
def expiring_tenants(actor: Actor, now: datetime) -> Waiting | None:
    soon = Q(expires_on__lte=(now + EXPIRY_WARNED).date()) | Q(status=TenantStatus.EXPIRING)
    rows = tenants_visible_to(actor).prefetch_related(None)
    rows = rows.filter(soon, status__in=OPEN_STATUSES)
    some, count = _first(rows.order_by("expires_on", "pk"))
    if not some:
        return None
    return Waiting(
        _("Tenants that expire"),
        "calendar-due",
        f"{reverse('governance:tenant-list')}?expires=30&sort=expires_on",
        count,
        [
            Item(
                one.title,
                reverse("governance:tenant-detail", args=[one.name]),
                one.expires_on.isoformat() if one.expires_on else "",
            )
            for one in some
        ],
        is_urgent=any(one.expires_on is not None and one.expires_on < now.date() for one in some),
    )


@waits
def resources(actor: Actor, now: datetime) -> Waiting | None:
    failing = failing_resources(actor)
    text = _("%(failed)s of %(calls)s calls in 24 h")
    return _resources(_("Failing HTTP resources"), failing, text, is_urgent=True)


@waits
def refused_calls(actor: Actor, now: datetime) -> Waiting | None:
    """Calls that nobody answered, since they were never sent."""
    refused = refused_resources(actor)
    text = _("%(failed)s of %(calls)s calls not sent in 24 h")
    return _resources(_("Refused HTTP calls"), refused, text, is_urgent=False)


def _resources(
    title: str, found: list[FailingResource], text: str, *, is_urgent: bool
) -> Waiting | None:
    if not found:
        return None
    return Waiting(
        title,
        "api-off",
        reverse("http_access:resource-list"),
        len(found),
        [
            Item(
                one.name,
                reverse("http_access:resource-detail", args=[one.name]),
                text % {"failed": one.failed, "calls": one.calls},
            )
            for one in found[:SHOWN]
        ],
        is_urgent=is_urgent,
    )


@waits
def credentials(actor: Actor, now: datetime) -> Waiting | None:
    if not can(actor, READ_CREDENTIALS):
        return None
    rows = HttpCredential.objects.filter(revoked_at__isnull=True, expires_at__lte=now + WARN_BEFORE)
    some, count = _first(rows.order_by("expires_at"))
    if not some:
        return None
    return Waiting(
        _("Credentials that expire"),
        "key",
        reverse("http_access:credential-list"),
        count,
        [
            Item(
                one.title,
                reverse("http_access:credential-detail", args=[one.name]),
                since=one.expires_at,
            )
            for one in some
        ],
        is_urgent=any(one.expires_at is not None and one.expires_at <= now for one in some),
    )
