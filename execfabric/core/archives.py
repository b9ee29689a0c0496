"""Which sealed events of the current schema were moved to archives, as their owner knows it.

Archives are recorded in the public domain (governance.audit): no tenant's role can claim one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class MovedSeals(NamedTuple):
    """Seals whose events lie in an archive, and no longer in the trail."""

    first_seal: int
    last_seal: int
    sha256: str
    """Of the archive."""


Source = Callable[[], list[MovedSeals]]

_SOURCES: list[Source] = []


def own_archives(source: Source) -> None:
    """Let source say what was moved in the current schema, lowest first. A second is an error."""
    if _SOURCES:
        raise ValueError("Two packages own the archives of audit trails.")
    _SOURCES.append(source)


def moved_archives() -> list[MovedSeals]:
    return _SOURCES[0]() if _SOURCES else []
