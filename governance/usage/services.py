"""Counting one tenant. No acts, but bookkeeping: what is stored here can be counted anew."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import TruncDate
from django_tenants.utils import schema_context

from execfabric.core.ids import lowest_uuid7
from execfabric.core.models import AuditEvent
from executors.contract import StopReason
from skills.catalogue.models import ScriptVersion, Skill, SkillVersion
from skills.executions.models import Artifact, Execution, StoredContent
from skills.executions.states import Status
from tenants.accounts.models import Account
from tenants.registry.models import Tenant

from ..http_access.models import HttpResource
from .models import DailyRuns, ResourceHealth, TenantUsage

DAYS_KEPT = 90
RECOUNTED_DAYS = 3
"""So many days, today among them, are counted again each time: runs of yesterday end today."""
STORAGE_EVERY = timedelta(hours=1)
"""Stored files are summed up that often at most: it reads the whole tables of files."""
FAILED = (Status.FAILED, Status.TIMED_OUT, Status.LOST)
NOT_SENT = Q(status=Status.FAILED, stop_reason=StopReason.COULD_NOT_START)
"""A call that something of ours refused: of the executor (http.errors.Refused) or before it."""
OURS = Q(status=Status.LOST) | Q(stop_reason=StopReason.PLATFORM_FAILED)
"""What the platform failed, and no resource."""


@dataclass(slots=True)
class _Calls:
    """Calls of one resource."""

    total: int = 0
    failed: int = 0
    refused: int = 0
    last_failed_at: datetime | None = None


@dataclass(slots=True)
class _Counted:
    days: list[tuple[date, int, int]]
    health: dict[UUID, _Calls]
    facts: dict[str, int | datetime | None] = field(default_factory=dict)


def count_tenant(tenant: Tenant, now: datetime) -> None:
    """Count what tenant used, in its schema, and store it in the current one, which is public."""
    known = TenantUsage.objects.filter(tenant=tenant).first()
    with_storage = (
        known is None
        or known.storage_counted_at is None
        or now - known.storage_counted_at >= STORAGE_EVERY
    )
    days = RECOUNTED_DAYS if known is not None else DAYS_KEPT
    days = max(days, (now - known.counted_at).days + RECOUNTED_DAYS) if known else days
    with schema_context(tenant.schema_name):
        counted = _count(now, days=min(days, DAYS_KEPT), with_storage=with_storage)
    _store_days(tenant, counted.days, since=_first_day(now, min(days, DAYS_KEPT)), now=now)
    _store_health(tenant, counted.health)
    last_month = DailyRuns.objects.filter(tenant=tenant, day__gt=(now - timedelta(days=30)).date())
    sums = last_month.aggregate(total=Sum("total"), failed=Sum("failed"))
    TenantUsage.objects.update_or_create(
        tenant=tenant,
        defaults={
            **counted.facts,
            "runs_30d": sums["total"] or 0,
            "failed_30d": sums["failed"] or 0,
            "counted_at": now,
            **({"storage_counted_at": now} if with_storage else {}),
        },
    )


def _first_day(now: datetime, days: int) -> datetime:
    """Return the start, in UTC, of the first of so many days that end today."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days - 1)


def _count(now: datetime, *, days: int, with_storage: bool) -> _Counted:
    """Count in the current schema. New executions are found by their ids, which hold the time."""
    asked_for = Execution.objects.filter(id__gte=lowest_uuid7(_first_day(now, days)))
    by_day = (
        asked_for.order_by()
        .values_list(TruncDate("created_at"))
        .annotate(total=Count("pk"), failed=Count("pk", filter=Q(status__in=FAILED)))
    )
    counted = _Counted(days=list(by_day), health=_count_calls(now))
    counted.facts = {
        "accounts": Account.objects.filter(is_active=True).count(),
        "skills": Skill.objects.filter(is_enabled=True).count(),
        "last_activity_at": _last_activity(),
    }
    if with_storage:
        there = Artifact.objects.filter(execution__files_removed_at__isnull=True)
        bundles = ScriptVersion.objects.values("digest").annotate(bytes=Max("size_bytes"))
        counted.facts |= {
            "files_bytes": StoredContent.objects.aggregate(sum=Sum("size_bytes"))["sum"] or 0,
            "artifacts_bytes": there.aggregate(sum=Sum("size_bytes"))["sum"] or 0,
            "bundles_bytes": bundles.aggregate(sum=Sum("bytes"))["sum"] or 0,
        }
    return counted


def _last_activity() -> datetime | None:
    by_people = AuditEvent.objects.filter(actor_id__isnull=False).order_by("-id")
    moments = [
        by_people.values_list("at", flat=True).first(),
        Execution.objects.order_by("-id").values_list("created_at", flat=True).first(),
    ]
    return max((one for one in moments if one is not None), default=None)


def _count_calls(now: datetime) -> dict[UUID, _Calls]:
    """Return, by HTTP resource, the calls that ended in the last 24 hours."""
    day = Execution.objects.filter(
        id__gte=lowest_uuid7(now - timedelta(days=1)),
        version__kind="http",
        finished_at__isnull=False,
    )
    failed = Q(status__in=FAILED) & ~NOT_SENT & ~OURS
    rows = list(
        day.order_by()
        .values_list("version_id")
        .annotate(
            calls=Count("pk"),
            wrong=Count("pk", filter=failed),
            refused=Count("pk", filter=NOT_SENT),
            last=Max("finished_at", filter=failed),
        )
    )
    versions = SkillVersion.objects.in_bulk([version for version, *_rest in rows])
    found: dict[UUID, _Calls] = {}
    for version_id, total, wrong, refused, last in rows:
        resource = UUID(str(versions[version_id].resource["http_resource"]))
        calls = found.setdefault(resource, _Calls())
        calls.total += total
        calls.failed += wrong
        calls.refused += refused
        known = [one for one in (calls.last_failed_at, last) if one is not None]
        calls.last_failed_at = max(known, default=None)
    return found


def _store_days(
    tenant: Tenant, days: list[tuple[date, int, int]], *, since: datetime, now: datetime
) -> None:
    counted = [
        DailyRuns(tenant=tenant, day=day, total=total, failed=failed)
        for day, total, failed in days
        if day >= since.date()
    ]
    DailyRuns.objects.bulk_create(
        counted,
        update_conflicts=True,
        unique_fields=["tenant", "day"],
        update_fields=["total", "failed"],
    )
    old = (now - timedelta(days=DAYS_KEPT)).date()
    DailyRuns.objects.filter(tenant=tenant, day__lt=old).delete()


def _store_health(tenant: Tenant, health: dict[UUID, _Calls]) -> None:
    names = dict(HttpResource.objects.filter(pk__in=health).values_list("pk", "name"))
    ResourceHealth.objects.filter(tenant=tenant).exclude(name__in=names.values()).delete()
    ResourceHealth.objects.bulk_create(
        [
            ResourceHealth(tenant=tenant, name=names[pk], **asdict(calls))
            for pk, calls in health.items()
            if pk in names
        ],
        update_conflicts=True,
        unique_fields=["tenant", "name"],
        update_fields=["total", "failed", "refused", "last_failed_at"],
    )
