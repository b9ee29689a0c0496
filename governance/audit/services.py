"""What is done with old parts of an audit trail. An act that moves events leaves one itself."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.actions import action
from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.models import AuditRetention
from execfabric.core.roles import MANAGERS, PLATFORM, SYSTEM
from execfabric.core.sealing.bundle import ARCHIVE_ACT
from execfabric.core.tasks import enqueue
from tenants.registry.models import Tenant

from .models import YOUNGEST_DAYS, AuditArchive, Upkeep

LONGEST_DAYS = 3_660


@action(
    "core.audit.retain",
    title="Say how long audit events stay",
    roles=MANAGERS | PLATFORM,
    needs_proof=True,
)
def set_retention(*, actor: Actor, days: int) -> AuditRetention:
    """Keep events in this trail for so many days; older ones move to archives.

    Raises InvalidInput outside YOUNGEST_DAYS..LONGEST_DAYS.
    """
    _check_days(days)
    return AuditRetention.objects.update_or_create(only=True, defaults={"days": days})[0]


@action(
    "core.audit.request_archive",
    title="Ask for an audit archive",
    roles=MANAGERS | PLATFORM,
    needs_proof=True,
)
def request_archive(*, actor: Actor, days: int) -> None:
    """Let a worker archive what is older than so many days, now. Raises InvalidInput."""
    _check_days(days)
    enqueue("governance.archive_audit_trail", days=days)


@action(ARCHIVE_ACT, title="Archive a part of the audit trail", roles=SYSTEM)
def enter_archive(
    *,
    actor: Actor,
    archive_id: UUID,
    first_seal: int,
    last_seal: int,
    events: int,
    first_at: datetime,
    last_at: datetime,
    sha256: str,
    size_bytes: int,
    stored_as: str,
    made_at: datetime,
) -> None:
    """Enter an archive that was stored and verified; its events stay until this act is sealed.

    Raises Conflict where another worker was faster.
    """
    schema = current_schema()
    with schema_context(get_public_schema_name()):
        known = AuditArchive.objects.filter(schema=schema)
        if known.filter(last_seal__gte=first_seal).exists():
            raise Conflict("These seals are in an archive already.")
        try:
            with transaction.atomic():
                AuditArchive.objects.create(
                    id=archive_id,
                    schema=schema,
                    first_seal=first_seal,
                    last_seal=last_seal,
                    events=events,
                    first_at=first_at,
                    last_at=last_at,
                    sha256=sha256,
                    size_bytes=size_bytes,
                    stored_as=stored_as,
                    made_at=made_at,
                )
        except IntegrityError:
            raise Conflict("These seals are in an archive already.") from None


@action("core.audit.remove", title="Take archived events out of the trail", roles=SYSTEM)
def remove_archived(
    *, actor: Actor, archive_id: UUID, first_seal: int, last_seal: int, removed_at: datetime
) -> None:
    """Take the events of an archive out of the current schema's trail.

    The caller has just looked that the archive is still stored as it was made. The database looks
    at the rest (migrations/0003_old_and_sealed_only.py). Raises Conflict when it was done
    meanwhile.
    """
    schema = current_schema()
    with schema_context(get_public_schema_name()):
        waiting = AuditArchive.objects.filter(pk=archive_id, schema=schema, removed_at__isnull=True)
        if not waiting.update(removed_at=removed_at):
            raise Conflict("These events were taken out already.")


def forget_upkeep(tenant: Tenant) -> None:
    """Forget how copies of a deleted tenant's seals went, as part of that act."""
    Upkeep.objects.filter(schema=tenant.schema_name).delete()


def note_success(upkeep: Upkeep, *, now: datetime, up_to_seal: int | None = None) -> None:
    """Write down that a duty is done. Bookkeeping, and no act."""
    if up_to_seal is not None:
        upkeep.up_to_seal = up_to_seal
    upkeep.done_at, upkeep.failing_since, upkeep.next_try_at = now, None, None
    upkeep.failures, upkeep.reason = 0, ""
    upkeep.save()


def note_failure(
    upkeep: Upkeep, *, now: datetime, next_try_at: datetime | None, reason: str
) -> None:
    """Write down that a duty failed, and when it is tried again. Bookkeeping, and no act."""
    upkeep.failing_since = upkeep.failing_since or now
    upkeep.failures += 1
    upkeep.next_try_at, upkeep.reason = next_try_at, reason[:300]
    upkeep.save()


def _check_days(days: int) -> None:
    if not YOUNGEST_DAYS <= days <= LONGEST_DAYS:
        wrong = f"Give a number of days from {YOUNGEST_DAYS} to {LONGEST_DAYS}."
        raise InvalidInput(wrong, fields={"days": wrong})
