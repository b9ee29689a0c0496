from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from execfabric.core.actor import Actor, current_schema
from execfabric.core.archives import MovedSeals
from execfabric.core.models import AuditRetention
from execfabric.core.permissions import can

from .models import YOUNGEST_DAYS, AuditArchive


def archives_here() -> QuerySet[AuditArchive]:
    """Return the archives of the current schema's trail, the oldest events first."""
    return AuditArchive.objects.filter(schema=current_schema()).order_by("first_seal")


def archives_visible_to(actor: Actor) -> QuerySet[AuditArchive]:
    """Return the archives of the actor's schema, newest first; none without the right."""
    if not can(actor, "core.audit.read"):
        return AuditArchive.objects.none()
    return archives_here().order_by("-first_seal")


def archive_visible_to(actor: Actor, archive_id: UUID) -> QuerySet[AuditArchive]:
    return archives_visible_to(actor).filter(pk=archive_id)


def moved_here() -> list[MovedSeals]:
    """Return which seals' events were moved out of the current schema's trail, lowest first."""
    moved = archives_here().filter(removed_at__isnull=False)
    return [MovedSeals(*row) for row in moved.values_list("first_seal", "last_seal", "sha256")]


def days_kept() -> int:
    """Return how many days events stay in the current schema's trail."""
    chosen = AuditRetention.objects.values_list("days", flat=True).first()
    return max(settings.AUDIT_KEPT_DAYS if chosen is None else chosen, YOUNGEST_DAYS)


def cutoff(now: datetime, days: int) -> datetime:
    """Return the moment before which events are older than so many days; never a younger one."""
    return now - timedelta(days=max(days, YOUNGEST_DAYS))
