"""What the database demands before an event leaves its trail, whatever rights somebody has.

The attacker here is in the role of the trail, which may add events, seals and leaves, and in that
of the public domain, which may enter archives. All of it can be made up, but for the clock of the
database.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor, Door
from execfabric.core.audit import event_of
from execfabric.core.models import AuditEvent, AuditLeaf, AuditSeal, Outcome
from execfabric.core.sealing.bundle import ARCHIVE_ACT
from execfabric.core.sealing.seals import Signer
from execfabric.core.seals import BrokenChain, entered_until, genuine, seal_events
from governance.audit.archiving import keep_trail
from governance.audit.models import AuditArchive
from governance.audit.selectors import archives_here

from .conftest import YEARS_AGO, age, happen, seal

FORGER = Signer("a key of somebody else, just as long as ours is")
TRAILS = ["acme", "platform"]


@pytest.fixture(params=TRAILS)
def trail(request, slow_clock):
    """The schema of a tenant's trail, and that of the public domain."""
    return request.getfixturevalue(request.param).schema_name


def forge_seals() -> None:
    """Seal whatever has no seal, as if that had been years ago."""
    seal_events(FORGER, below_xid=2**62, sealed_at=YEARS_AGO, everywhere=True)


def say_archived(first: int, last: int, sha256: str = "f" * 64) -> None:
    """Add the event that an archive needs, and a seal over it."""
    actor = Actor.system("archive", door=Door.COMMAND)
    inputs = {"first_seal": first, "last_seal": last, "sha256": sha256}
    event_of(ARCHIVE_ACT, actor=actor, outcome=Outcome.DONE, inputs=inputs).save(force_insert=True)
    forge_seals()


def take_out(schema: str, first: int, last: int, *, events: int, sha256: str = "f" * 64) -> None:
    """Enter an archive that was never stored, and mark it as removed."""
    with schema_context("public"), transaction.atomic():
        archive = AuditArchive.objects.create(
            schema=schema,
            first_seal=first,
            last_seal=last,
            events=events,
            first_at=YEARS_AGO,
            last_at=YEARS_AGO,
            sha256=sha256,
            size_bytes=1,
            stored_as="x",
            made_at=YEARS_AGO,
        )
        AuditArchive.objects.filter(pk=archive.pk).update(removed_at=timezone.now())


def held(first: int, last: int) -> int:
    return AuditLeaf.objects.filter(seal__gte=first, seal__lte=last).count()


def refused(match: str):
    return pytest.raises(DatabaseError, match=match)


def test_made_up_seals_take_out_nothing_fresh(trail):
    happen("evil")
    forge_seals()
    say_archived(1, 1)
    before = AuditEvent.objects.count()

    with refused("too young"):
        take_out(trail, 1, 1, events=held(1, 1))

    assert AuditEvent.objects.count() == before


def test_old_events_that_were_never_sealed_wait_for_a_seal_to_grow_old(trail):
    happen("old")
    age(trail)
    forge_seals()
    say_archived(1, 1)

    with refused("Seals are missing, or too young"):
        take_out(trail, 1, 1, events=held(1, 1))


def test_a_fresh_event_is_not_slipped_under_an_old_seal(trail):
    happen("old")
    seal(YEARS_AGO)
    age(trail)
    (fresh,) = happen_as_rows("fresh")
    slip_under(1, fresh)
    say_archived(1, 1)

    with refused("Events are too young"):
        take_out(trail, 1, 1, events=held(1, 1))


def test_an_old_event_without_a_seal_is_not_slipped_under_an_old_one(trail):
    happen("old")
    seal(YEARS_AGO)
    (other,) = happen_as_rows("other")
    age(trail)
    slip_under(1, other)
    say_archived(1, 1)

    with refused("other events than were sealed"):
        take_out(trail, 1, 1, events=held(1, 1))


def test_the_archive_holds_as_many_events_as_the_trail(trail):
    happen("old")
    seal(YEARS_AGO)
    age(trail)
    say_archived(1, 1)

    with refused("other events than the archive"):
        take_out(trail, 1, 1, events=held(1, 1) + 1)


def test_the_act_of_one_archive_is_none_of_another(old_trail):
    say_archived(1, 1)

    with refused("No sealed event"):
        take_out(old_trail.schema_name, 2, 2, events=held(2, 2))


def test_nobody_says_when_an_event_or_a_seal_came(trail):
    """Not even who names the column in the INSERT."""
    happen("old")
    seal(YEARS_AGO)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_auditevent (id, at, code, outcome, schema, actor_name, door, address,"
            " target_type, target_id, target_label, request_id, reason, details, xid, entered_at)"
            " SELECT gen_random_uuid(), at, code, outcome, schema, actor_name, door, address,"
            " target_type, target_id, target_label, request_id, reason, details, 1, '2001-01-01'"
            " FROM core_auditevent LIMIT 1"
            " RETURNING entered_at > now() - interval '1 hour', xid > 1"
        )
        assert cursor.fetchone() == (True, True)
        cursor.execute(
            "INSERT INTO core_auditseal (number, document, xid_until, made_at)"
            " VALUES (77, '{}', 0, '2001-01-01') RETURNING made_at > now() - interval '1 hour'"
        )
        assert cursor.fetchone() == (True,)
        for change in ("auditevent SET entered_at", "auditseal SET made_at"):
            with refused("permission denied"), transaction.atomic():
                cursor.execute(f"UPDATE core_{change} = '2001-01-01'")


@pytest.mark.parametrize(
    ("aged", "match"),
    [
        ((), "what is not archived stays"),
        (("event",), "what is not archived stays"),
        (("seal",), "some are too young"),
    ],
)
def test_the_rows_themselves_are_guarded_too(owner_session, acme, aged, match):
    """Whatever the function that removes them would think: the owner has the right to delete."""
    happen("old")
    seal(YEARS_AGO)
    events = held(1, 1)
    with schema_context("public"), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        take_out(acme.schema_name, 1, 1, events=events)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    if aged:
        age(acme.schema_name, tables=aged)

    with refused(match), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {acme.schema_name}.core_auditevent")


def test_an_archive_whose_events_came_lately_waits_in_peace(old_trail):
    """After an upgrade or a restore by INSERTs the database knows of no older events."""
    age(old_trail.schema_name, days=5)
    keep_trail(timezone.now())
    seal(timezone.now())

    assert keep_trail(timezone.now()) == (0, 0)

    (archive,) = archives_here()
    assert archive.removed_at is None
    assert timezone.now() - entered_until(1, 3) < timedelta(days=6)
    age(old_trail.schema_name, days=31)
    assert keep_trail(timezone.now())[0] == archive.events


def test_nothing_is_sealed_after_a_stranger_s_seal(acme):
    happen("one")
    seal(YEARS_AGO)
    happen("two")
    forge_seals()
    assert genuine(AuditSeal.objects.last()).key == FORGER.key
    happen("three")

    with pytest.raises(BrokenChain, match="made with another key"):
        seal(timezone.now())


def test_a_new_key_takes_over_from_the_old_one(acme):
    happen("one")
    seal(YEARS_AGO)
    happen("two")
    other = Signer("the key that was set after the first one")

    assert seal_events(other, below_xid=2**62, sealed_at=YEARS_AGO, everywhere=True) == 1
    happen("three")
    assert seal_events(other, below_xid=2**62, sealed_at=YEARS_AGO, everywhere=True) == 1


def happen_as_rows(*names: str) -> list[AuditEvent]:
    before = set(AuditEvent.objects.values_list("pk", flat=True))
    happen(*names)
    return list(AuditEvent.objects.exclude(pk__in=before))


def slip_under(number: int, event: AuditEvent) -> None:
    place = held(number, number)
    AuditLeaf.objects.create(event_id=event.pk, seal_id=number, index=place, digest=b"x" * 32)
