"""Moves old events of the current schema's trail into archives that can be verified offline.

First an archive is written, stored, read back and verified, and entered by an act of its own. Once
that act is sealed, its events are taken out of the trail. Their seals stay, so the chain of seals
and everything after it is verified as before.
"""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO

import structlog
from django.conf import settings

from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict
from execfabric.core.ids import uuid7
from execfabric.core.models import AuditEvent, AuditLeaf, AuditSeal
from execfabric.core.sealing.bundle import ARCHIVE_ACT, Part
from execfabric.core.sealing.seals import seal_from
from execfabric.core.sealing.verifying import verify
from execfabric.core.seals import entered_until
from execfabric.core.storage import open_file, store_anew
from execfabric.web.audit.exporting import archive_bundle

from .models import YOUNGEST_DAYS, AuditArchive
from .selectors import archives_here, cutoff, days_kept
from .services import enter_archive, remove_archived

logger = structlog.get_logger(__name__)

FOLDER = "audit-archives"
MOST_EVENTS = 100_000
"""In one archive, about: taking them out is one transaction, of a second or so."""
MOST_SEALS = 50_000
GATHERED = timedelta(days=30)
"""The clock waits until an archive would hold about so much."""
AT_ONCE = 1_000


class NotArchived(Exception):
    """What should be archived is not as it was sealed, or was not stored; nothing was removed."""


@dataclass(frozen=True, slots=True)
class Due:
    """Seals whose events may be archived, and no more than one archive holds."""

    part: Part
    events: int
    first_at: datetime
    last_at: datetime


def due_here(before: datetime) -> Due | None:
    """Return the next seals of the current schema that were made before a moment, if any."""
    last = archives_here().last()
    first = last.last_seal + 1 if last else 1
    numbers: list[int] = []
    events = 0
    first_at = last_at = before
    rows = AuditSeal.objects.filter(number__gte=first).order_by("number")
    for row in rows.iterator(AT_ONCE):
        seal = seal_from(row.document)
        sealed_at = datetime.fromisoformat(seal.sealed_at)
        is_full = bool(numbers) and events + seal.count > MOST_EVENTS
        if sealed_at >= before or is_full or len(numbers) == MOST_SEALS:
            break
        first_at = sealed_at if not numbers else first_at
        last_at = sealed_at
        numbers.append(seal.number)
        events += seal.count
    if not numbers:
        return None
    return Due(Part(numbers[0], numbers[-1]), events, first_at, last_at)


def preview_here(before: datetime) -> Due | None:
    """Return all that would be archived now, in however many archives."""
    last = archives_here().last()
    first = last.last_seal + 1 if last else 1
    # Seals are made in the order of their numbers, and their moments are written to sort as texts.
    until = before.isoformat(timespec="microseconds")
    rows = AuditSeal.objects.filter(number__gte=first, document__sealed_at__lt=until)
    ends = rows.order_by("number").first(), rows.order_by("number").last()
    if ends[0] is None or ends[1] is None:
        return None
    low, high = seal_from(ends[0].document), seal_from(ends[1].document)
    return Due(
        Part(low.number, high.number),
        high.total - low.total + low.count,
        datetime.fromisoformat(low.sealed_at),
        datetime.fromisoformat(high.sealed_at),
    )


def keep_trail(now: datetime, *, days: int | None = None) -> tuple[int, int]:
    """Take out what was archived before, and archive what is due; return how many events each.

    days: archive all that is older, now; None for what the schema chose, once enough has gathered.
    Raises NotArchived.
    """
    removed = sum(_remove(archive, now) for archive in archives_here().filter(removed_at=None))
    kept = days_kept() if days is None else days
    before = cutoff(now, kept)
    archived = 0
    while (due := due_here(before)) is not None:
        has_gathered = due.first_at < before - GATHERED or due.events >= MOST_EVENTS // 2
        if days is None and not has_gathered and not archived:
            break
        archived += _archive(due, now)
    return removed, archived


def _archive(due: Due, now: datetime) -> int:
    """Write, store, read back, verify and enter one archive; return how many events it holds."""
    with tempfile.TemporaryFile(dir=_folder()) as file:
        _write(file, due)
        sha256, size_bytes = _digest(file), file.tell()
        name = f"{due.part.first:012}-{due.part.last:012}-{sha256}.jsonl.gz"
        file.seek(0)
        stored = store_anew(FOLDER, name, file)
    _verify(stored, sha256, due)
    enter_archive(
        actor=Actor.system("archive"),
        archive_id=uuid7(),
        first_seal=due.part.first,
        last_seal=due.part.last,
        events=due.events,
        first_at=due.first_at,
        last_at=due.last_at,
        sha256=sha256,
        size_bytes=size_bytes,
        stored_as=stored,
        made_at=now,
    )
    logger.info("audit.archived", first=due.part.first, last=due.part.last, events=due.events)
    return due.events


def _remove(archive: AuditArchive, now: datetime) -> int:
    """Take the events of an archive out of the trail, if they are old by the database's clock, too,
    and the act that entered it is sealed."""
    if not _is_sealed(archive) or not _is_old(archive, now):
        return 0
    with open_file(archive.stored_as) as stored:
        if _digest(stored) != archive.sha256:
            raise NotArchived(f"The archive of {archive} is not stored as it was made.")
    try:
        remove_archived(
            actor=Actor.system("archive"),
            archive_id=archive.pk,
            first_seal=archive.first_seal,
            last_seal=archive.last_seal,
            removed_at=now,
        )
    except Conflict:
        return 0
    return archive.events


def _is_sealed(archive: AuditArchive) -> bool:
    acts = AuditEvent.objects.filter(code=ARCHIVE_ACT, details__sha256=archive.sha256)
    return AuditLeaf.objects.filter(event_id__in=acts.values("pk")).exists()


def _is_old(archive: AuditArchive, now: datetime) -> bool:
    until = entered_until(archive.first_seal, archive.last_seal)
    return until is None or until < cutoff(now, YOUNGEST_DAYS)


def _write(file: IO[bytes], due: Due) -> None:
    # No name and no moment of writing in it: whoever tries again makes the same file.
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed:
        for lines in archive_bundle(due.part, due.last_at):
            packed.write(lines)
    file.flush()


def _verify(stored: str, sha256: str, due: Due) -> None:
    rows = AuditSeal.objects.filter(number__range=(due.part.first - 1, due.part.last))
    kept = [seal_from(row.document) for row in rows.order_by("number").iterator(AT_ONCE)]
    with open_file(stored) as file:
        if _digest(file) != sha256:
            raise NotArchived("What was stored as an archive is not what was written.")
        file.seek(0)
        report = verify(_lines(file), kept=kept)
    if report.findings:
        raise NotArchived(
            f"Seals {due.part.first} to {due.part.last} cannot be archived: "
            f"{report.findings[0].message}"
        )
    if (report.part, report.events) != (due.part, due.events):
        raise NotArchived("The archive holds other events than the trail.")


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file, mode="rb") as plain:
        yield from plain


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _folder() -> str:
    folder = settings.UPLOAD_DIR
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
