"""Seals what the audit trail of the current schema holds, and proves single events.

An event is sealed once every transaction that began before its own has ended: then no event can
appear among sealed ones later. Each event knows its transaction by the column ``xid``, which only
the database fills in. The marks of a restored database may be ahead of its transactions; so whether
an event is sealed is decided by its leaf alone, and the marks only say where to look.

This is the trail's own bookkeeping and no act: an event about each seal would want a seal, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from execfabric.core.sealing.canonical import event_digest, ids_digest, leaf_of
from execfabric.core.sealing.merkle import paths_of, root_of
from execfabric.core.sealing.seals import FIRST_PREVIOUS, Seal, Signer, seal_from

from . import statements
from .actor import current_schema
from .models import AuditEvent, AuditLeaf, AuditSeal

MOST_EVENTS = 4_096
"""Under one seal: a path is twelve nodes at most."""


class BrokenChain(Exception):
    """The last seal of this schema is not genuine, or not ours: nothing may be chained to it."""


@dataclass(frozen=True, slots=True)
class Proven:
    """An event with what proves it. event is None when it is gone from the trail."""

    event_id: UUID
    event: dict[str, Any] | None
    index: int
    path: list[bytes]


def settled_xid() -> int:
    """Return the id below which every transaction of the database has ended.

    Nobody but the owner may ask PostgreSQL for it; a trigger answers.
    """
    return int(statements.send(_SETTLED, [])[0][0])


_SETTLED = """
    INSERT INTO core_auditmark ("only", settled_xid) VALUES (true, 0)
    ON CONFLICT ("only") DO UPDATE SET settled_xid = 0 RETURNING settled_xid
"""


def seal_events(
    signer: Signer, *, below_xid: int, sealed_at: datetime, everywhere: bool = False
) -> int:
    """Seal the events of transactions below below_xid in the current schema; return how many.

    everywhere: look at all events, not only at those since the last seal. Raises BrokenChain.
    """
    sealed = 0
    while True:
        with transaction.atomic():
            done = _seal_some(signer, below_xid, sealed_at, everywhere)
        sealed += done
        if done < MOST_EVENTS:
            return sealed


def _seal_some(signer: Signer, below_xid: int, sealed_at: datetime, everywhere: bool) -> int:
    last = last_seal_row()
    before = genuine(last) if last else None
    # Transaction ids begin again in a restored database: then the mark says nothing.
    mark = last.xid_until if last and not everywhere and last.xid_until <= below_xid else 0
    found = statements.send(_UNSEALED, [mark, below_xid, MOST_EVENTS])
    if not found:
        return 0
    if before is not None and before.key != signer.key:
        _require_new_key(signer, before)
    ids = [row[0] for row in found]
    events = AuditEvent.objects.in_bulk(ids)
    digests = [event_digest(document_of(events[one])) for one in ids]
    names = [str(one) for one in ids]
    leaves = [leaf_of(name, digest) for name, digest in zip(names, digests, strict=True)]
    seal = signer.sign(
        Seal(
            schema=current_schema(),
            number=before.number + 1 if before else 1,
            previous=before.digest if before else FIRST_PREVIOUS,
            count=len(ids),
            total=len(ids) + (before.total if before else 0),
            root=root_of(leaves).hex(),
            ids=ids_digest(names),
            sealed_at=_utc(sealed_at),
            key="",
        )
    )
    row = AuditSeal(
        number=seal.number,
        document=seal.document(),
        xid_until=below_xid if len(ids) < MOST_EVENTS else found[-1][1],
    )
    row.save(force_insert=True)
    AuditLeaf.objects.bulk_create(
        AuditLeaf(event_id=one, seal=row, index=index, digest=digest)
        for index, (one, digest) in enumerate(zip(ids, digests, strict=True))
    )
    return len(ids)


def _require_new_key(signer: Signer, last: Seal) -> None:
    """Raise BrokenChain if this key made seals before the last one, which another key has made.

    A key replaces the one before it; so a stranger has made that seal, by the rights of a role.
    """
    if AuditSeal.objects.filter(document__key=signer.key).exists():
        raise BrokenChain(
            f"Seal {last.number} was made with another key, and seals before it with the one that "
            "is configured. Somebody who can write to the database made it, or an older "
            "EXECFABRIC_AUDIT_KEY was set again."
        )


_UNSEALED = """
    SELECT event.id, event.xid FROM core_auditevent event
    WHERE event.xid >= %s::bigint AND event.xid < %s::bigint
        AND NOT EXISTS (SELECT FROM core_auditleaf leaf WHERE leaf.event_id = event.id)
    ORDER BY event.xid, event.id LIMIT %s::int
"""
_WAITING_SINCE = """
    SELECT min(event.at), count(*) FROM core_auditevent event
    WHERE event.xid >= %s::bigint
        AND NOT EXISTS (SELECT FROM core_auditleaf leaf WHERE leaf.event_id = event.id)
"""


_ENTERED_UNTIL = """
    SELECT max(event.entered_at) FROM core_auditleaf leaf
    JOIN core_auditevent event ON event.id = leaf.event_id
    WHERE leaf.seal_id BETWEEN %s::bigint AND %s::bigint
"""


def last_seal_row() -> AuditSeal | None:
    return AuditSeal.objects.order_by("-number").first()


def genuine(row: AuditSeal) -> Seal:
    """Return the seal of a row. Raises BrokenChain when nobody's key made it."""
    seal = seal_from(row.document)
    if seal.number != row.number or seal.schema != current_schema() or not seal.is_genuine():
        raise BrokenChain(f"Seal {row.number} was changed in the database.")
    return seal


def waiting_since() -> tuple[datetime | None, int]:
    """Return when the oldest event happened that has no seal, and how many have none."""
    last = last_seal_row()
    since, count = statements.send(_WAITING_SINCE, [last.xid_until if last else 0])[0]
    return since, count


def entered_until(first: int, last: int) -> datetime | None:
    """Return when, by the clock of the database, the last event came that is under these seals.

    None if none is left of them in the trail.
    """
    until: datetime | None = statements.send(_ENTERED_UNTIL, [first, last])[0][0]
    return until


def document_of(event: AuditEvent) -> dict[str, Any]:
    """Return an event as it is sealed: core.sealing.canonical.EVENT_FIELDS."""
    return {
        "id": str(event.id),
        "at": _utc(event.at),
        "code": event.code,
        "outcome": str(event.outcome),
        "schema": event.schema,
        "actor_id": event.actor_id,
        "actor_name": event.actor_name,
        "door": event.door,
        "address": event.address,
        "target_type": event.target_type,
        "target_id": event.target_id,
        "target_label": event.target_label,
        "request_id": event.request_id,
        "reason": event.reason,
        "details": event.details,
    }


def proven(row: AuditSeal, *, only: Sequence[UUID] | None = None) -> list[Proven]:
    """Return the events under a seal in their order, each with its path; of those in only."""
    leaves = list(row.leaves.order_by("index"))
    paths = paths_of([leaf_of(str(one.event_id), bytes(one.digest)) for one in leaves])
    wanted = set(only) if only is not None else None
    chosen = [
        (leaf, path)
        for leaf, path in zip(leaves, paths, strict=True)
        if wanted is None or leaf.event_id in wanted
    ]
    events = AuditEvent.objects.in_bulk([leaf.event_id for leaf, _path in chosen])
    return [
        Proven(
            leaf.event_id,
            document_of(events[leaf.event_id]) if leaf.event_id in events else None,
            leaf.index,
            path,
        )
        for leaf, path in chosen
    ]


def ids_under(row: AuditSeal) -> list[str]:
    """Return the ids of the events under a seal, in their order."""
    ids = row.leaves.order_by("index").values_list("event_id", flat=True)
    return [str(one) for one in ids]


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
