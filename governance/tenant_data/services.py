"""The acts about a tenant's whole data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, Gone, InvalidInput
from execfabric.core.roles import PLATFORM, SYSTEM
from execfabric.core.states import move
from execfabric.core.tasks import enqueue
from tenants.registry.models import Tenant, TenantKind
from tenants.registry.services import checked_reason, set_deletion_due

from .lifecycle import require_turn
from .models import TenantDeletion, TenantExport
from .states import (
    AT_WORK,
    DELETION_TRANSITIONS,
    EXPORT_TRANSITIONS,
    DeletionStage,
    DeletionStatus,
    ExportStatus,
)

WORK_ON_EXPORT = "governance.work_on_export"
WORK_ON_DELETION = "governance.work_on_deletion"
CLEAR_EXPORT = "governance.clear_export"


@action(
    "tenant_data.export.request",
    title="Export a tenant",
    roles=PLATFORM,
    target="tenant",
    needs_proof=True,
)
def request_export(
    *, actor: Actor, tenant: Tenant, reason: str, requested_at: datetime
) -> TenantExport:
    """Have everything of a tenant copied into an export. Raises InvalidInput, Conflict."""
    why = checked_reason(reason, "Say what it is for.")
    try:
        with transaction.atomic():
            export = TenantExport.objects.create(
                **_named(tenant),
                reason=why,
                requested_by=actor.username,
                requested_at=requested_at,
                touched_at=requested_at,
            )
    except IntegrityError:
        raise Conflict("An export of this tenant is being made already.") from None
    enqueue(WORK_ON_EXPORT, export_id=str(export.pk))
    return export


@action("tenant_data.export.retry", title="Go on with an export", roles=PLATFORM, target="export")
def retry_export(*, actor: Actor, export: TenantExport, at: datetime) -> TenantExport:
    """Go on with a failed export where it stopped. Raises InvalidTransition."""
    moved = move(
        export,
        to=ExportStatus.QUEUED,
        table=EXPORT_TRANSITIONS,
        error="",
        breaks=0,
        touched_at=at,
    )
    enqueue(WORK_ON_EXPORT, export_id=str(moved.pk))
    return moved


@action("tenant_data.export.finish", title="Finish an export", roles=SYSTEM, target="export")
def finish_export(
    *, actor: Actor, export: TenantExport, manifest_sha256: str, finished_at: datetime
) -> TenantExport:
    """Make an export ready to be fetched, for settings.EXPORTS_KEPT_DAYS. Raises TakenOver."""
    require_turn(export)
    return move(
        export,
        to=ExportStatus.DONE,
        table=EXPORT_TRANSITIONS,
        share_done=1.0,
        manifest_sha256=manifest_sha256,
        finished_at=finished_at,
        touched_at=finished_at,
        expires_at=finished_at + timedelta(days=settings.EXPORTS_KEPT_DAYS),
    )


@action("tenant_data.export.fail", title="Give up an export", roles=SYSTEM, target="export")
def fail_export(
    *, actor: Actor, export: TenantExport, reason: str, failed_at: datetime
) -> TenantExport:
    """Note why the work on an export stopped; what it has made stays. Raises TakenOver."""
    require_turn(export)
    return move(
        export,
        to=ExportStatus.FAILED,
        table=EXPORT_TRANSITIONS,
        error=reason[:2000],
        touched_at=failed_at,
    )


@action(
    "tenant_data.export.download",
    title="Fetch an export",
    roles=PLATFORM,
    target="export",
    needs_proof=True,
)
def fetch_export(*, actor: Actor, export: TenantExport) -> TenantExport:
    """Let actor have the files of an export. Raises Conflict, Gone."""
    if export.status == ExportStatus.REMOVED:
        raise Gone("This export was removed.")
    if export.status != ExportStatus.DONE:
        raise Conflict("This export is not ready yet.")
    return export


@action(
    "tenant_data.export.remove", title="Remove an export", roles=PLATFORM | SYSTEM, target="export"
)
def remove_export(*, actor: Actor, export: TenantExport, removed_at: datetime) -> TenantExport:
    """Delete the files of an export that is done or failed. Raises InvalidTransition."""
    moved = move(export, to=ExportStatus.REMOVED, table=EXPORT_TRANSITIONS, touched_at=removed_at)
    enqueue(CLEAR_EXPORT, export_id=str(moved.pk))
    return moved


@action(
    "tenant_data.deletion.schedule",
    title="Schedule the deletion of a tenant",
    roles=PLATFORM,
    target="tenant",
    needs_proof=True,
)
def schedule_deletion(
    *, actor: Actor, tenant: Tenant, confirmation: str, reason: str, requested_at: datetime
) -> TenantDeletion:
    """Have a closed tenant deleted after settings.DELETION_GRACE_DAYS.

    confirmation: the tenant's name, typed. Raises InvalidInput, Conflict.
    """
    why = checked_reason(reason, "Say why it is deleted.")
    if confirmation.strip() != tenant.name:
        wanted = f"Type the name of the tenant: {tenant.name}"
        raise InvalidInput("The name does not fit.", fields={"confirmation": wanted})
    if tenant.kind != TenantKind.CUSTOMER:
        raise Conflict("Only a tenant of a customer can be deleted.")
    due_at = requested_at + timedelta(days=settings.DELETION_GRACE_DAYS)
    set_deletion_due(tenant, due_at)
    try:
        with transaction.atomic():
            return TenantDeletion.objects.create(
                **_named(tenant),
                reason=why,
                requested_by=actor.username,
                requested_at=requested_at,
                due_at=due_at,
                touched_at=requested_at,
            )
    except IntegrityError:
        raise Conflict("The deletion of this tenant is scheduled already.") from None


@action(
    "tenant_data.deletion.cancel",
    title="Cancel the deletion of a tenant",
    roles=PLATFORM,
    target="deletion",
)
def cancel_deletion(
    *, actor: Actor, deletion: TenantDeletion, cancelled_at: datetime
) -> TenantDeletion:
    """Keep a tenant that was to be deleted. Raises Conflict once anything is deleted."""
    if not deletion.may_be_cancelled:
        raise Conflict("This deletion has begun or is over; it cannot be cancelled.")
    moved = move(
        deletion,
        to=DeletionStatus.CANCELLED,
        table=DELETION_TRANSITIONS,
        cancelled_by=actor.username,
        cancelled_at=cancelled_at,
        touched_at=cancelled_at,
    )
    if moved.stage != DeletionStage.SCHEMA:
        raise Conflict("This deletion has begun; it cannot be cancelled.")
    set_deletion_due(Tenant.objects.get(pk=moved.tenant_id), None)
    return moved


@action(
    "tenant_data.deletion.begin",
    title="Begin the deletion of a tenant",
    roles=SYSTEM,
    target="deletion",
)
def begin_deletion(*, actor: Actor, deletion: TenantDeletion, begun_at: datetime) -> TenantDeletion:
    """Begin once the time of grace is over. Raises Conflict, InvalidTransition.

    An export that is being made goes first: what it has not copied yet could never be exported.
    """
    if deletion.due_at > begun_at:
        raise Conflict("The deletion of this tenant is not due.")
    if TenantExport.objects.filter(tenant_id=deletion.tenant_id, status__in=AT_WORK).exists():
        raise Conflict("An export of this tenant is being made. Its deletion begins after that.")
    moved = move(
        deletion, to=DeletionStatus.RUNNING, table=DELETION_TRANSITIONS, touched_at=begun_at
    )
    enqueue(WORK_ON_DELETION, deletion_id=str(moved.pk))
    return moved


@action(
    "tenant_data.deletion.retry",
    title="Go on with the deletion of a tenant",
    roles=PLATFORM,
    target="deletion",
)
def retry_deletion(*, actor: Actor, deletion: TenantDeletion, at: datetime) -> TenantDeletion:
    """Go on with a failed deletion where it stopped. Raises InvalidTransition."""
    moved = move(
        deletion,
        to=DeletionStatus.RUNNING,
        table=DELETION_TRANSITIONS,
        error="",
        breaks=0,
        touched_at=at,
    )
    enqueue(WORK_ON_DELETION, deletion_id=str(moved.pk))
    return moved


@action(
    "tenant_data.deletion.finish",
    title="Finish the deletion of a tenant",
    roles=SYSTEM,
    target="deletion",
)
def finish_deletion(
    *, actor: Actor, deletion: TenantDeletion, finished_at: datetime
) -> TenantDeletion:
    return move(
        deletion,
        to=DeletionStatus.DONE,
        table=DELETION_TRANSITIONS,
        stage=DeletionStage.OVER,
        finished_at=finished_at,
        touched_at=finished_at,
    )


@action(
    "tenant_data.deletion.fail",
    title="Give up the deletion of a tenant",
    roles=SYSTEM,
    target="deletion",
)
def fail_deletion(
    *, actor: Actor, deletion: TenantDeletion, reason: str, failed_at: datetime
) -> TenantDeletion:
    """Note why the deletion stopped; it can be gone on with."""
    return move(
        deletion,
        to=DeletionStatus.FAILED,
        table=DELETION_TRANSITIONS,
        error=reason[:2000],
        touched_at=failed_at,
    )


def _named(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant_id": tenant.pk,
        "schema_name": tenant.schema_name,
        "number": tenant.number,
        "name": tenant.name,
        "title": tenant.title,
    }
