"""What the work on exports and deletions notes: who does it and how far it is, which is no act."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from execfabric.core.states import move

from .failures import TakenOver
from .models import ExportedFile, TenantDeletion, TenantExport
from .parts import Stored
from .states import (
    AT_WORK,
    EXPORT_TRANSITIONS,
    DeletionStage,
    DeletionStatus,
    ExportStage,
    ExportStatus,
)

MOST_BREAKS = 10
"""Times in a row that database or Redis may break off the work until it counts as failed."""


def take_export(export_id: UUID | str) -> TenantExport | None:
    """Return an export that is to be worked on, as whose only worker the caller counts from now on.

    Whoever had it before may note nothing more. None if there is nothing to do.
    """
    with transaction.atomic():
        rows = TenantExport.objects.select_for_update().filter(pk=export_id, status__in=AT_WORK)
        export = rows.first()
        if export is not None:
            export.turn += 1
            export.save(update_fields=["turn"])
    return export


def require_turn(export: TenantExport) -> TenantExport:
    """Return the row of an export, locked, if the caller still is its worker. Raises TakenOver."""
    known = TenantExport.objects.select_for_update().get(pk=export.pk)
    if known.turn != export.turn or known.status not in AT_WORK:
        raise TakenOver("Somebody else works on this export.")
    return known


def begin_export(export: TenantExport, facts: dict[str, Any], now: datetime) -> TenantExport:
    """Move a queued export on; facts: see ``TenantExport.facts``, kept from the first time.

    Raises TakenOver.
    """
    with transaction.atomic():
        require_turn(export)
        return move(
            export,
            to=ExportStatus.RUNNING,
            table=EXPORT_TRANSITIONS,
            facts=export.facts or facts,
            touched_at=now,
        )


def note_part(
    export: TenantExport,
    files: Sequence[Stored],
    *,
    now: datetime,
    table: str = "",
    rows: int = 0,
    cursor: dict[str, Any],
    stage: ExportStage | None = None,
    share_done: float,
    missing: Sequence[str] = (),
) -> TenantExport:
    """Note what was added to an export and where it goes on, both or neither.

    rows of table were taken. missing: files that were to be copied and were gone. Raises TakenOver.
    """
    with transaction.atomic():
        known = require_turn(export)
        paths = [file.path for file in files]
        ExportedFile.objects.filter(export=known, path__in=paths).delete()
        ExportedFile.objects.bulk_create(
            ExportedFile(
                export=known,
                path=file.path,
                turn=known.turn,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
            )
            for file in files
        )
        known.rows_done += rows
        known.files_done += len(files)
        known.bytes_done += sum(file.size_bytes for file in files)
        known.cursor = cursor
        known.share_done = share_done
        known.touched_at, known.breaks = now, 0
        if stage is not None:
            known.stage = stage
        if table:
            counted = known.facts.setdefault("rows", {})
            counted[table] = counted.get(table, 0) + rows
        if missing:
            known.facts["missing"] = [*known.facts.get("missing", []), *missing]
        known.save()
    return known


def lock_erasure(deletion: TenantDeletion) -> None:
    """Keep others from erasing the tenant until the transaction ends. Raises TakenOver."""
    known = TenantDeletion.objects.select_for_update().get(pk=deletion.pk)
    if (known.status, known.stage) != (DeletionStatus.RUNNING, DeletionStage.SCHEMA):
        raise TakenOver("Somebody else works on this deletion.")


def note_erased(deletion: TenantDeletion, now: datetime) -> TenantDeletion:
    """Note that rows, schema and role are gone, within that transaction."""
    known = TenantDeletion.objects.select_for_update().get(pk=deletion.pk)
    known.stage, known.touched_at, known.breaks = DeletionStage.FILES, now, 0
    known.save(update_fields=["stage", "touched_at", "breaks"])
    return known


def note_files_gone(
    deletion: TenantDeletion, *, files: int, size_bytes: int, now: datetime
) -> TenantDeletion:
    with transaction.atomic():
        known = TenantDeletion.objects.select_for_update().get(pk=deletion.pk)
        known.files_done += files
        known.bytes_done += size_bytes
        known.touched_at, known.breaks = now, 0
        known.save(update_fields=["files_done", "bytes_done", "touched_at", "breaks"])
    return known


def note_break(work: TenantExport | TenantDeletion) -> int:
    """Count that database or Redis broke off the work; return how often in a row they did."""
    known = type(work).objects.get(pk=work.pk)
    if getattr(known, "turn", None) != getattr(work, "turn", None):
        return 0  # It has another worker by now, who is not broken off.
    known.breaks += 1
    known.save(update_fields=["breaks"])
    return int(known.breaks)


def note_cleared(export: TenantExport, now: datetime) -> None:
    """Forget the names of the files of a removed export."""
    ExportedFile.objects.filter(export=export).delete()
    TenantExport.objects.filter(pk=export.pk).update(cleared_at=now, cursor={})
