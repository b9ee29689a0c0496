"""Sealing in the database: what is sealed when, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, connection, transaction

from execfabric.core.actor import Actor, Door
from execfabric.core.audit import record
from execfabric.core.models import AuditEvent, AuditLeaf, AuditSeal, Outcome
from execfabric.core.sealing.canonical import event_digest, leaf_of
from execfabric.core.sealing.merkle import root_from
from execfabric.core.sealing.seals import Signer
from execfabric.core.seals import (
    BrokenChain,
    genuine,
    proven,
    seal_events,
    settled_xid,
    waiting_since,
)
from tests.owner import owner_connection

SIGNER = Signer("a key of the tests, long enough to be one")
NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def happen(*names: str) -> list[AuditEvent]:
    actor = Actor.system("tests", door=Door.COMMAND)
    return [record(f"tests.{one}.do", actor=actor, outcome=Outcome.DONE) for one in names]


def next_xid() -> int:
    """Return the id after that of the transaction at hand, in which something has happened."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(xid) FROM core_auditevent")
        return int(cursor.fetchone()[0]) + 1


def seal(*, everywhere: bool = True) -> int:
    """Seal all there is. A test is one transaction, so its seals do not say where to look."""
    return seal_events(SIGNER, below_xid=next_xid(), sealed_at=NOON, everywhere=everywhere)


def test_everything_is_sealed_once_and_each_event_is_proven(acme):
    one, two = happen("one", "two")
    before = AuditEvent.objects.count()

    assert seal() == before
    assert seal() == 0
    (row,) = AuditSeal.objects.all()
    made = genuine(row)
    assert (made.number, made.count, made.total, made.schema) == (
        1, before, before, acme.schema_name,
    )  # fmt: skip
    shown = {each.event_id: each for each in proven(row, only=[one.pk, two.pk])}
    assert set(shown) == {one.pk, two.pk}
    for each in shown.values():
        leaf = leaf_of(each.event["id"], event_digest(each.event))
        assert root_from(leaf, each.index, made.count, each.path).hex() == made.root


def test_a_seal_follows_the_one_before(acme):
    happen("one")
    first_count = seal()
    happen("two", "three")

    assert seal() == 2

    first, second = (genuine(row) for row in AuditSeal.objects.all())
    assert second.previous == first.digest
    assert (second.number, second.total) == (2, first_count + 2)


def test_what_is_not_settled_waits(acme):
    happen("one")
    own = next_xid() - 1

    seal_events(SIGNER, below_xid=own, sealed_at=NOON)

    since, count = waiting_since()
    assert since is not None
    assert count >= 1
    assert not AuditLeaf.objects.filter(event_id=AuditEvent.objects.first().pk).exists()


def test_an_open_transaction_holds_up_what_comes_after_it(acme):
    with owner_connection() as other:
        other.execute("BEGIN")
        (held,) = other.execute("SELECT pg_current_xact_id()::text").fetchone()
        assert settled_xid() <= int(held)
        other.execute("ROLLBACK")


def test_a_restored_database_whose_transactions_begin_again_is_sealed_all_the_same(acme):
    happen("one")
    seal()
    last = AuditSeal.objects.get()
    happen("two")
    # As if the last seal were made when ids were far higher.
    row = AuditSeal(number=2, document=SIGNER.sign(chained(last)).document(), xid_until=10**12)
    row.save(force_insert=True)

    assert seal(everywhere=False) == 1


def chained(last: AuditSeal):
    before = genuine(last)
    return replace(before, number=2, previous=before.digest, count=1, total=before.total + 1)


def test_many_events_take_several_seals(acme, monkeypatch):
    from execfabric.core import seals

    monkeypatch.setattr(seals, "MOST_EVENTS", 3)
    seal()
    before = AuditSeal.objects.count()
    happen(*"abcdefg")

    assert seal() == 7
    assert AuditSeal.objects.count() == before + 3


def test_nothing_is_chained_to_a_seal_nobody_signed(acme):
    happen("one")
    seal()
    forged = chained(AuditSeal.objects.get())
    AuditSeal(number=2, document=forged.document(), xid_until=0).save(force_insert=True)
    happen("two")

    with pytest.raises(BrokenChain):
        seal()


@pytest.mark.parametrize("table", ["core_auditseal", "core_auditleaf"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {}"])
def test_seals_and_leaves_stay_as_they_are(acme, table, statement):
    happen("one")
    seal()
    column = "xid_until = 0" if table == "core_auditseal" else "index = 0"

    with pytest.raises(DatabaseError), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement.format(table, column))


def test_events_of_a_statement_of_our_own_have_their_transaction_too(acme):
    (event,) = happen("one")

    with connection.cursor() as cursor:
        cursor.execute("SELECT xid FROM core_auditevent WHERE id = %s", [event.pk])
        assert cursor.fetchone() == (next_xid() - 1,)
