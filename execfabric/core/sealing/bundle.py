"""The file of an export: one JSON document a line.

A header; then each seal followed by its events, every event with the path that proves it; then an
end. A *whole* export holds all sealed events of its schema, and the ids of each seal's events, so
that what is missing can be named. One of a selection holds some of them.

An *archive* is a whole export of a part of the chain: every event of its seals, which follow the
seals of the archive before. A whole export names archived seals, without their events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from execfabric.core.sealing.canonical import as_text, canonical
from execfabric.core.sealing.seals import Seal

FORMAT = "execfabric-audit/1"
EVIDENCE_FORMAT = "execfabric-evidence/1"
"""A JSON document whose "proof" holds the lines of a bundle."""


ARCHIVE_ACT = "core.audit.archive"
"""Code of the event that says which seals an archive holds, and its digest."""


class Part(NamedTuple):
    """The numbers of the first and the last seal of an archive."""

    first: int
    last: int


def part_from(document: Any) -> Part | None:
    """Return what the header of an archive says it holds; None if that is no such thing."""
    if not isinstance(document, Mapping) or set(document) != set(Part._fields):
        return None
    first, last = document["first"], document["last"]
    is_range = type(first) is int and type(last) is int and 0 < first <= last
    return Part(first, last) if is_range else None


def header(
    *,
    schema: str,
    exported_at: str,
    selection: Mapping[str, Any] | None,
    unsealed: int,
    part: Part | None = None,
) -> dict[str, Any]:
    """selection: what was asked for; None for a whole export. unsealed: events left out, since
    they had no seal yet. part: what an archive holds."""
    document = {
        "kind": "header",
        "format": FORMAT,
        "schema": schema,
        "exported_at": exported_at,
        "selection": None if selection is None else dict(selection),
        "unsealed": unsealed,
    }
    return document if part is None else {**document, "archive": part._asdict()}


def seal_line(seal: Seal, *, ids: Sequence[str] | None, archived: str = "") -> dict[str, Any]:
    """ids: of all events of the seal, for a whole export; else None. archived: sha256 of the
    archive its events were moved to."""
    line = {
        "kind": "seal",
        "seal": seal.document(),
        "ids": None if ids is None else list(ids),
    }
    return {**line, "archived": archived} if archived else line


def event_line(
    event: Mapping[str, Any], *, seal: int, index: int, path: Sequence[bytes]
) -> dict[str, Any]:
    """seal: number of the event's seal; index: its place there, from 0."""
    return {
        "kind": "event",
        "seal": seal,
        "index": index,
        "path": [as_text(node) for node in path],
        "event": dict(event),
    }


def end(*, seals: int, events: int) -> dict[str, Any]:
    return {"kind": "end", "seals": seals, "events": events}


def as_line(document: Mapping[str, Any]) -> bytes:
    return canonical(document) + b"\n"
