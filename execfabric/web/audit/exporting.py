"""Exports of the audit trail, made while they are sent: nothing of them is kept.

A bundle is proven by its seals and can be verified offline (core.sealing.verifying); JSONL and
CSV are for reading on, and prove nothing.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Exists, Model, OuterRef, QuerySet
from django_tenants.utils import schema_context

from execfabric.core.actor import current_schema
from execfabric.core.archives import MovedSeals, moved_archives
from execfabric.core.models import AuditEvent, AuditLeaf, AuditSeal
from execfabric.core.sealing import bundle
from execfabric.core.sealing.canonical import EVENT_FIELDS, canonical
from execfabric.core.sealing.seals import seal_from
from execfabric.core.seals import document_of, ids_under, proven, waiting_since

AT_ONCE = 1_000
"""Events that are read at a time."""
Row = TypeVar("Row", bound=Model)


def whole_bundle(exported_at: datetime) -> Iterator[bytes]:
    """Return the lines of a bundle of every sealed event of the current schema.

    Of seals whose events were archived it says where they are.
    """
    _since, unsealed = waiting_since()
    return _bundle(current_schema(), exported_at, _whole(), selection=None, unsealed=unsealed)


def archive_bundle(part: bundle.Part, exported_at: datetime) -> Iterator[bytes]:
    """Return the lines of an archive: of the seals of part with all of their events."""
    rows = AuditSeal.objects.filter(number__range=part).order_by("number")
    parts = (_part(row, only=None) for row in rows.iterator(AT_ONCE))
    return _bundle(current_schema(), exported_at, parts, selection=None, unsealed=0, part=part)


def selected_bundle(
    events: QuerySet[AuditEvent], exported_at: datetime, *, selection: Mapping[str, str]
) -> Iterator[bytes]:
    """Return the lines of a bundle of the sealed ones among events. selection: how they were found.

    Meant for fewer events than a whole trail has: their places are read at once.
    """
    leaves = AuditLeaf.objects.filter(event_id__in=events.order_by().values("pk"))
    places = list(leaves.order_by("seal_id", "index").values_list("seal_id", "event_id"))
    sealed = AuditLeaf.objects.filter(event_id=OuterRef("pk"))
    unsealed = events.filter(~Exists(sealed)).count()
    return _bundle(
        current_schema(), exported_at, _chosen(places), selection=selection, unsealed=unsealed
    )


def proof_of(events: QuerySet[AuditEvent], exported_at: datetime) -> list[bytes]:
    """Return the lines of a bundle of events, at once: for few."""
    return b"".join(selected_bundle(events, exported_at, selection={})).splitlines(keepends=True)


def as_jsonl(events: QuerySet[AuditEvent]) -> Iterator[bytes]:
    """Return the lines of events of the current schema."""
    return (canonical(document_of(event)) + b"\n" for event in _in_order(events))


def as_csv(events: QuerySet[AuditEvent]) -> Iterator[bytes]:
    """Return events of the current schema as a table.

    What a spreadsheet would take for a formula begins with '.
    """
    return _table(_in_order(events))


def seals_as_lines(rows: QuerySet[AuditSeal], *, after: int) -> Iterator[bytes]:
    """Return the current schema's seals after a number, as they are copied out of the database.

    The first comes first.
    """
    seals = _in_order(rows.filter(number__gt=after))
    return (canonical(row.document) + b"\n" for row in seals)


def _table(events: Iterator[AuditEvent]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(EVENT_FIELDS)
    for event in events:
        document = document_of(event)
        document["details"] = canonical(document["details"]).decode("utf-8", "replace")
        writer.writerow(_cell(document[name]) for name in EVENT_FIELDS)
        if buffer.tell() > 64 * 1024:
            yield _taken(buffer)
    yield _taken(buffer)


def _bundle(
    schema: str,
    exported_at: datetime,
    parts: Iterator[list[dict[str, Any]]],
    *,
    selection: Mapping[str, str] | None,
    unsealed: int,
    part: bundle.Part | None = None,
) -> Iterator[bytes]:
    moment = exported_at.isoformat(timespec="microseconds")
    head = bundle.header(
        schema=schema, exported_at=moment, selection=selection, unsealed=unsealed, part=part
    )
    yield bundle.as_line(head)
    seals = events = 0
    while True:
        with schema_context(schema):  # The request is over by now.
            lines = next(parts, None)
        if lines is None:
            break
        seals += 1
        events += len(lines) - 1
        yield b"".join(map(bundle.as_line, lines))
    yield bundle.as_line(bundle.end(seals=seals, events=events))


def _whole() -> Iterator[list[dict[str, Any]]]:
    """Return seal by seal its line and those of its events, unless they were archived."""
    number = 0
    moved = moved_archives()
    # One by one: a seal that was deleted in between is left for the verifier to find.
    while (
        row := AuditSeal.objects.filter(number__gt=number).order_by("number").first()
    ) is not None:
        number = row.number
        if (archive := _holding(number, moved)) is None:
            lines = _part(row, only=None)
            if len(lines) > 1:
                yield lines
                continue
            # Nothing left: it may have been archived since this export began.
            moved = moved_archives()
            archive = _holding(number, moved)
        sha256 = archive.sha256 if archive else ""
        ids = None if archive else ids_under(row)
        yield [bundle.seal_line(seal_from(row.document), ids=ids, archived=sha256)]


def _holding(number: int, moved: list[MovedSeals]) -> MovedSeals | None:
    """Return which of moved holds a seal; as exports ask in order, passed ones are dropped."""
    while moved and moved[0].last_seal < number:
        del moved[0]
    return moved[0] if moved and moved[0].first_seal <= number else None


def _chosen(places: list[tuple[int, UUID]]) -> Iterator[list[dict[str, Any]]]:
    for number, group in itertools.groupby(places, key=itemgetter(0)):
        only = [event_id for _number, event_id in group]
        yield _part(AuditSeal.objects.get(pk=number), only=only)


def _part(row: AuditSeal, *, only: list[UUID] | None) -> list[dict[str, Any]]:
    """Return the line of a seal, as it lies in the database, and those of its events."""
    ids = ids_under(row) if only is None else None
    return [
        bundle.seal_line(seal_from(row.document), ids=ids),
        *(
            bundle.event_line(each.event, seal=row.number, index=each.index, path=each.path)
            for each in proven(row, only=only)
            if each.event is not None
        ),
    ]


def _in_order(rows: QuerySet[Row]) -> Iterator[Row]:
    """Return rows of what is the current schema now, by their keys, a thousand at a time."""
    return _read(rows.order_by("pk"), current_schema())


def _read(rows: QuerySet[Row], schema: str) -> Iterator[Row]:
    last: Any = None
    while True:
        with schema_context(schema):  # The request is over by now.
            some = list((rows if last is None else rows.filter(pk__gt=last))[:AT_ONCE])
        yield from some
        if len(some) < AT_ONCE:
            return
        last = some[-1].pk


def _cell(value: Any) -> Any:
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if is_formula else value


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode("utf-8", "replace")
