"""Copies of seals outside of the database: only they reveal that the end of a trail was cut off."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from execfabric.core.models import AuditSeal
from execfabric.core.sealing.canonical import NotCanonical, canonical, parse
from execfabric.core.sealing.seals import NotASeal, Seal, seal_from
from execfabric.core.seals import genuine, last_seal_row

LONGEST_LINE = 4_096
"""Bytes; a seal takes about 700."""
AT_ONCE = 1_000


class TrailWasCut(Exception):
    """The database has not the seals that were copied before: something was taken from it."""


def copy_seals(path: Path) -> int:
    """Append the seals of the current schema that path does not hold yet; return how many.

    Raises TrailWasCut, BrokenChain, OSError.
    """
    row = last_seal_row()
    if row is None and not path.exists():
        return 0
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Never opened for anything but appending: a file system that allows no more will do.
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        copied, is_torn = _last_copied(path)
        if copied is not None:
            _must_be_there(copied)
        if is_torn:
            file.write(b"\n")
        return _append(file, after=copied.number if copied else 0)


def _append(file: IO[bytes], *, after: int) -> int:
    added = 0
    for row in AuditSeal.objects.filter(number__gt=after).order_by("number").iterator(AT_ONCE):
        file.write(canonical(genuine(row).document()) + b"\n")
        added += 1
    if added:
        file.flush()
        os.fsync(file.fileno())
    return added


def _must_be_there(copied: Seal) -> None:
    row = AuditSeal.objects.filter(pk=copied.number).first()
    if row is None or row.document != copied.document():
        raise TrailWasCut(
            f"Seal {copied.number} of {copied.schema} was copied on {copied.sealed_at}, and is not "
            "in the database now: the trail was cut, or an older backup was restored."
        )


def _last_copied(path: Path) -> tuple[Seal | None, bool]:
    """Return the last whole seal in path, and whether something broken stands behind it."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4 * LONGEST_LINE))
        end = file.read()
    for line in reversed(end.split(b"\n")):
        try:
            return seal_from(parse(line)), not end.endswith(b"\n")
        except (NotCanonical, NotASeal):
            continue
    return None, bool(end) and not end.endswith(b"\n")
