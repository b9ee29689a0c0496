"""The file of an export: one JSON document a line.

A header; then each seal followed by its events, every event with the path that proves it; then an
end. A *whole* export holds all sealed events of its schema, and the ids of each seal's events, so
that what is missing can be named. One of a selection holds some of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from execfabric.core.sealing.canonical import as_text, canonical
from execfabric.core.sealing.seals import Seal

FORMAT = "execfabric-audit/1"
EVIDENCE_FORMAT = "execfabric-evidence/1"
"""A JSON document whose "proof" holds the lines of a bundle."""


def header(
    *, schema: str, exported_at: str, selection: Mapping[str, Any] | None, unsealed: int
) -> dict[str, Any]:
    """selection: what was asked for; None for a whole export. unsealed: events left out, since
    they had no seal yet."""
    return {
        "kind": "header",
        "format": FORMAT,
        "schema": schema,
        "exported_at": exported_at,
        "selection": None if selection is None else dict(selection),
        "unsealed": unsealed,
    }


def seal_line(seal: Seal, *, ids: Sequence[str] | None) -> dict[str, Any]:
    """ids: of all events of the seal, for a whole export; else None."""
    return {
        "kind": "seal",
        "seal": seal.document(),
        "ids": None if ids is None else list(ids),
    }


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
