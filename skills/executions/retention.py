"""How long files and logs are kept, and removing those whose time is over.

What stays for good: the execution with its result, the names, sizes and digests of its files, and
the audit trail.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import InvalidInput, NotFound
from execfabric.core.roles import MANAGERS, SYSTEM
from execfabric.core.storage import (
    delete_file,
    delete_folder,
    stored_at,
    stored_in,
    sweep_incoming,
)

from .files import FOLDER, UNUSED_FOR, locked_content
from .models import Execution, FileRetention, InputUse, LogChunk, StoredContent, StoredFile
from .selectors import days_kept

Row = TypeVar("Row", Execution, StoredFile)

logger = structlog.get_logger(__name__)

STEP = 50
"""Executions or files that one step removes; each step is one transaction and one audit event."""
ABANDONED_AFTER = timedelta(hours=6)
"""A part of a file that nobody writes to any more belongs to a process that was killed."""
STRAY_AFTER = timedelta(days=1)
"""Content no file has: its upload was undone after it was stored."""


@action(
    "executions.retention.set",
    title="Say how long files are kept",
    roles=MANAGERS,
    needs_proof=True,
)
def set_retention(*, actor: Actor, days: int) -> FileRetention:
    """Keep files and logs of this tenant for so many days after an execution ended.

    It counts for what is there, too. Raises InvalidInput outside 1..FILES_KEPT_DAYS_MOST.
    """
    most = settings.FILES_KEPT_DAYS_MOST
    if not 1 <= days <= most:
        wrong = f"Give a number of days from 1 to {most}."
        raise InvalidInput(wrong, fields={"days": wrong})
    return FileRetention.objects.update_or_create(only=True, defaults={"days": days})[0]


def sweep_files(now: datetime, *, until: float) -> None:
    """Remove what is due in this schema, step by step; begins none after until (monotonic)."""
    scanner = Actor.system("retention")
    executions, files = _due_executions(now), _due_files(now)
    while (step := _step(executions, until)) is not None:
        remove_run_files(actor=scanner, executions=step, removed_at=now)
        executions = executions.filter(pk__gt=step[-1].pk)
    while (due := _step(files, until)) is not None:
        expire_files(actor=scanner, files=due, removed_at=now)
        files = files.filter(pk__gt=due[-1].pk)
    if time.monotonic() < until:
        _sweep_storage(scanner, now)


@action("executions.files.remove", title="Remove files and logs whose time is over", roles=SYSTEM)
def remove_run_files(
    *, actor: Actor, executions: Sequence[Execution], removed_at: datetime
) -> None:
    """Remove artifacts and log of executions; their input files go when nobody else has them.

    The files go first: a step that breaks off is repeated by the next sweep.
    """
    wanted = [execution.pk for execution in executions]
    locked = Execution.objects.select_for_update(skip_locked=True, no_key=True)
    due = list(locked.filter(pk__in=wanted, files_removed_at__isnull=True).only("pk"))
    for execution in due:
        delete_folder(f"artifacts/{execution.pk}")
    LogChunk.objects.filter(execution__in=due).delete()
    for execution in due:
        execution.files_removed_at = removed_at
    Execution.objects.bulk_update(due, ["files_removed_at"])


@action("executions.file.expire", title="Remove input files nobody needs", roles=SYSTEM)
def expire_files(*, actor: Actor, files: Sequence[StoredFile], removed_at: datetime) -> None:
    """Remove input files that no execution needs: their content, too, when no other file has it."""
    locked = StoredFile.objects.select_for_update(skip_locked=True)
    held = set(locked.filter(pk__in=[file.pk for file in files]).values_list("pk", flat=True))
    # Asked again under the lock: somebody may have used one just now.
    due = list(_due_files(removed_at).filter(pk__in=held))
    used = set(InputUse.objects.filter(file__in=due).values_list("file_id", flat=True))
    gone = StoredFile.objects.filter(pk__in=[file.pk for file in due])
    gone.filter(pk__in=used).update(content=None, removed_at=removed_at)
    gone.exclude(pk__in=used).delete()
    for sha256, size_bytes in sorted({(file.sha256, file.size_bytes) for file in due}):
        _drop_content(sha256, size_bytes)


@action("executions.file.tidy", title="Remove what broken uploads left", roles=SYSTEM)
def remove_strays(*, actor: Actor, names: Sequence[str], removed_at: datetime) -> None:
    """Remove stored contents of uploads that were undone. names: digests."""
    for sha256 in sorted(names):
        _drop_content(sha256, 0)


def _drop_content(sha256: str, size_bytes: int) -> None:
    """Remove a content unless a file has it; uploads of the same wait until that is done."""
    content = locked_content(sha256, size_bytes)
    if not content.files.exists():
        delete_file(content.stored_as)
        content.delete()


def _step(due: QuerySet[Row], until: float) -> list[Row] | None:
    """Return the next rows of due; None when there are none, or the time is up."""
    return list(due.order_by("pk")[:STEP]) or None if time.monotonic() < until else None


def _due_executions(now: datetime) -> QuerySet[Execution]:
    ended_before = now - timedelta(days=days_kept())
    return Execution.objects.filter(finished_at__lt=ended_before, files_removed_at__isnull=True)


def _due_files(now: datetime) -> QuerySet[StoredFile]:
    uses = InputUse.objects.filter(file=OuterRef("pk"))
    needed = uses.filter(execution__files_removed_at__isnull=True)
    return StoredFile.objects.filter(
        Q(Exists(uses)) | Q(created_at__lt=now - UNUSED_FOR), ~Exists(needed), content__isnull=False
    )


def _sweep_storage(scanner: Actor, now: datetime) -> None:
    if swept := sweep_incoming(before=now - ABANDONED_AFTER):
        logger.info("files.abandoned_swept", parts=swept)
    # One of the 256 folders each time, so that no sweep reads the names of all files.
    folder = f"{FOLDER}/{int(now.timestamp() // 300) % 256:02x}"
    strays = []
    for stored in stored_in(folder):
        sha256 = stored.rsplit("/", 1)[-1]
        try:
            is_old = stored_at(stored) < now - STRAY_AFTER
        except NotFound:
            continue
        if is_old and not StoredContent.objects.filter(pk=sha256).exists():
            strays.append(sha256)
    if strays:
        remove_strays(actor=scanner, names=strays[:STEP], removed_at=now)
