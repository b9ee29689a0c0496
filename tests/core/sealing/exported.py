"""A trail of made-up events, exported: for tests that change something in it."""

from __future__ import annotations

import uuid
from typing import Any

from execfabric.core.sealing.bundle import as_line, end, event_line, header, seal_line
from execfabric.core.sealing.canonical import event_digest, ids_digest, leaf_of, parse
from execfabric.core.sealing.merkle import paths_of, root_of
from execfabric.core.sealing.seals import Seal, Signer

SIGNER = Signer("a key of the tests, long enough to be one")
STRANGER = Signer("a key of somebody else, long enough as well")


def event(number: int) -> dict[str, Any]:
    return {
        "id": str(uuid.UUID(int=number)),
        "at": f"2026-11-26T10:00:{number:02}.000000+00:00",
        "code": "executions.execution.request",
        "outcome": "done",
        "schema": "tenant_1001",
        "actor_id": 7,
        "actor_name": "oscar",
        "door": "page",
        "address": "192.0.2.7",
        "target_type": "executions.execution",
        "target_id": str(number),
        "target_label": f"greet {number}",
        "request_id": "",
        "reason": "",
        "details": {"inputs": ["name"], "höhe": 1.5},
    }


def seal_of(
    events: list[dict[str, Any]], before: Seal | None, *, signer: Signer = SIGNER, **other: Any
) -> Seal:
    ids = [one["id"] for one in events]
    leaves = [leaf_of(one["id"], event_digest(one)) for one in events]
    body = {
        "schema": "tenant_1001",
        "number": before.number + 1 if before else 1,
        "previous": before.digest if before else "",
        "count": len(events),
        "total": len(events) + (before.total if before else 0),
        "root": root_of(leaves).hex(),
        "ids": ids_digest(ids),
        "sealed_at": f"2026-11-26T10:0{before.number + 1 if before else 1}:00.000000+00:00",
        "key": "",
    }
    return signer.sign(Seal(**{**body, **other}))


def sealed(*sizes: int, signer: Signer = SIGNER) -> list[tuple[Seal, list[dict[str, Any]]]]:
    """Return seals of so many events each, with their events."""
    trail: list[tuple[Seal, list[dict[str, Any]]]] = []
    number = 0
    for size in sizes:
        events = [event(number + each) for each in range(1, size + 1)]
        number += size
        trail.append((seal_of(events, trail[-1][0] if trail else None, signer=signer), events))
    return trail


def export(trail: list[tuple[Seal, list[dict[str, Any]]]], *, is_whole: bool = True) -> list[bytes]:
    """Return the lines of the export of a trail."""
    lines = [
        header(
            schema="tenant_1001",
            exported_at="2026-11-26T11:00:00.000000+00:00",
            selection=None if is_whole else {"code": "executions.execution.request"},
            unsealed=0,
        )
    ]
    for seal, events in trail:
        lines.append(seal_line(seal, ids=[one["id"] for one in events] if is_whole else None))
        paths = paths_of([leaf_of(one["id"], event_digest(one)) for one in events])
        lines += [
            event_line(one, seal=seal.number, index=index, path=path)
            for index, (one, path) in enumerate(zip(events, paths, strict=True))
        ]
    lines.append(end(seals=len(trail), events=sum(len(events) for _seal, events in trail)))
    return [as_line(line) for line in lines]


def changed(line: bytes, **changes: Any) -> bytes:
    """Return a line with other values in its event, written as the platform writes it."""
    document = parse(line.removesuffix(b"\n"))
    document["event"].update(changes)
    return as_line(document)
