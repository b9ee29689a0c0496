"""Old events move to archives: nothing of the trail can be lost by that, and all stays verifiable.

docs/how-to/15-archive-audit-trails.md is followed here, too.
"""

from __future__ import annotations

import gzip
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django_tenants.utils import schema_context

from cli.exit_codes import ExitCode
from execfabric.core.models import AuditEvent, AuditLeaf, AuditSeal
from execfabric.core.sealing.bundle import ARCHIVE_ACT
from execfabric.core.sealing.canonical import canonical
from execfabric.core.seals import genuine
from execfabric.core.storage import open_file
from execfabric.web.audit.exporting import whole_bundle
from governance.audit.archiving import NotArchived, keep_trail, preview_here
from governance.audit.models import AuditArchive, Upkeep
from governance.audit.selectors import archives_here, cutoff
from governance.audit.tasks import archive_audit_trail, archive_audit_trails
from tests.conftest import tenant_named

from .conftest import YEARS_AGO, happen, seal


def export(file):
    file.write_bytes(b"".join(whole_bundle(timezone.now())))
    return file


def copies(file):
    file.write_bytes(
        b"".join(canonical(genuine(row).document()) + b"\n" for row in AuditSeal.objects.all())
    )
    return file


def stored(archive, folder):
    file = folder / archive.stored_as.rsplit("/", 1)[-1]
    with open_file(archive.stored_as) as content:
        file.write_bytes(content.read())
    return file


def archive_and_remove():
    """Archive what is due, seal the act, and take the events out."""
    _removed, archived = keep_trail(timezone.now())
    seal(timezone.now())
    removed, _archived = keep_trail(timezone.now())
    assert removed == archived
    return archived


def test_old_events_move_and_everything_stays_verifiable(old_trail, verify, tmp_path):
    before = AuditEvent.objects.count()
    old = AuditLeaf.objects.filter(seal__lte=3).count()

    assert archive_and_remove() == old

    (archive,) = archives_here()
    assert (archive.first_seal, archive.last_seal, archive.events) == (1, 3, old)
    assert AuditEvent.objects.count() == before - old + 2  # The two acts of archiving.
    assert AuditLeaf.objects.filter(seal__lte=3).count() == 0
    assert AuditSeal.objects.count() == 5
    seal(timezone.now())
    kept = copies(tmp_path / "seals.jsonl")
    file, trail = stored(archive, tmp_path), export(tmp_path / "trail.jsonl")
    alone = verify(file, "--seals", kept)
    assert (alone.code, alone.document["archive"]) == (0, {"first": 1, "last": 3})
    assert alone.document["events"] == old
    rest = verify(trail, "--seals", kept)
    assert rest.code == 0
    assert [one["sha256"] for one in rest.document["archived"]] == [archive.sha256]
    assert verify(file, trail, "--seals", kept).code == 0


def test_nothing_goes_before_the_act_of_archiving_is_sealed(old_trail):
    keep_trail(timezone.now())
    before = AuditEvent.objects.count()

    assert keep_trail(timezone.now()) == (0, 0)

    assert AuditEvent.objects.count() == before
    with pytest.raises(DatabaseError, match="No sealed event"), transaction.atomic():
        with schema_context("public"):
            AuditArchive.objects.update(removed_at=timezone.now())


def test_a_later_archive_follows_the_first(old_trail, verify, tmp_path):
    archive_and_remove()
    # What was today's is old by now.
    later = timezone.now() + timedelta(days=2_000)
    keep_trail(later)
    happen("later")
    seal(timezone.now())
    first, second = archives_here()

    assert second.first_seal == first.last_seal + 1
    files = stored(first, tmp_path), stored(second, tmp_path)
    trail = export(tmp_path / "trail.jsonl")
    assert verify(*files, trail, "--seals", copies(tmp_path / "seals.jsonl")).code == 0
    missing = verify(files[1], trail)
    assert missing.code == ExitCode.NOT_AS_SEALED
    assert "archive of seals 1 to 3 is not among them" in missing.said


def test_one_byte_of_an_archive_is_found(old_trail, verify, tmp_path):
    archive_and_remove()
    (archive,) = archives_here()
    file = stored(archive, tmp_path)
    text = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(text.replace(b"tests.two.do", b"tests.too.do")))

    result = verify(file)

    assert result.code == ExitCode.NOT_AS_SEALED
    assert "was changed" in result.document["findings"][0]["message"]


def test_the_end_of_an_archive_cannot_be_cut_off(old_trail, verify, tmp_path):
    archive_and_remove()
    (archive,) = archives_here()
    file = stored(archive, tmp_path)
    file.write_bytes(file.read_bytes()[:-40])

    assert verify(file).code == ExitCode.NOT_AS_SEALED


def test_deleted_events_cannot_pass_for_archived_ones(old_trail, verify, tmp_path):
    trail = export(tmp_path / "trail.jsonl")
    lines = trail.read_bytes().splitlines(keepends=True)
    second = next(n for n, line in enumerate(lines) if b'"kind":"seal"' in line and n > 1)
    seal_line = lines[1].replace(b'{"ids"', b'{"archived":"%s","ids"' % (b"a" * 64), 1)
    end = lines[-1].replace(
        b'"events":%d' % (len(lines) - 6), b'"events":%d' % (len(lines) - second - 4)
    )
    trail.write_bytes(b"".join([lines[0], seal_line, *lines[second:-1], end]))

    result = verify(trail)

    assert result.code == ExitCode.NOT_AS_SEALED
    assert "no event of the trail says so" in result.said


def test_what_was_changed_in_the_database_is_not_archived(owner_session):
    with schema_context(tenant_named("acme").schema_name), connection.cursor() as cursor:
        happen("one")
        seal(YEARS_AGO)
        cursor.execute("ALTER TABLE core_auditevent DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE core_auditevent SET actor_name = 'nobody' WHERE code = 'tests.one.do'"
        )
        cursor.execute("ALTER TABLE core_auditevent ENABLE TRIGGER USER")

        with pytest.raises(NotArchived, match="was changed"):
            keep_trail(timezone.now())

        assert not archives_here().exists()


def test_young_events_are_never_archived(old_trail):
    assert cutoff(timezone.now(), 0) <= timezone.now() - timedelta(days=30)
    keep_trail(timezone.now(), days=0)

    assert archives_here().last().last_seal == 3


def test_the_clock_waits_until_enough_has_gathered(old_trail, settings):
    settings.AUDIT_KEPT_DAYS = 990

    assert keep_trail(timezone.now()) == (0, 0)
    assert keep_trail(timezone.now(), days=990)[1] > 0


def test_the_preview_says_what_would_move(old_trail):
    due = preview_here(cutoff(timezone.now(), 730))

    assert due is not None
    assert due.part == (1, 3)
    assert due.events == AuditLeaf.objects.filter(seal__lte=3).count()
    assert due.first_at == YEARS_AGO
    assert preview_here(YEARS_AGO) is None


def test_an_archive_that_is_gone_from_the_storage_keeps_its_events(old_trail):
    keep_trail(timezone.now())
    seal(timezone.now())
    (archive,) = archives_here()
    from execfabric.core.storage import delete_file

    delete_file(archive.stored_as)
    before = AuditEvent.objects.count()

    with pytest.raises(Exception, match="no longer stored"):
        keep_trail(timezone.now())

    assert AuditEvent.objects.count() == before


def test_the_clock_archives_every_trail_and_tells_what_fails(old_trail, monkeypatch):
    from governance.audit import archiving

    def broken(*_arguments):
        raise NotArchived("The disk is full.")

    monkeypatch.setattr(archiving, "_verify", broken)
    with schema_context("public"):
        archive_audit_trails.run()

        (upkeep,) = Upkeep.objects.filter(schema=old_trail.schema_name)
    assert (upkeep.duty, upkeep.reason) == ("archive", "The disk is full.")
    assert not archives_here().exists()


def test_two_workers_that_archive_one_trail_at_once_are_no_alarm(old_trail, monkeypatch):
    from governance.audit import archiving

    verify_stored = archiving._verify

    def overtaken(*arguments):
        monkeypatch.undo()
        archive_audit_trail.run(days=365)
        verify_stored(*arguments)

    monkeypatch.setattr(archiving, "_verify", overtaken)
    archive_audit_trail.run(days=365)

    assert archives_here().count() == 1
    with schema_context("public"):
        assert not Upkeep.objects.filter(schema=old_trail.schema_name).exists()


class TestTheDatabase:
    """What it refuses, whoever asks."""

    def refused(self, statement, *values, match=""):
        with pytest.raises(DatabaseError, match=match), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(statement, values)

    def test_a_tenant_enters_no_archive(self, old_trail):
        values = [timezone.now()] * 3
        self.refused(
            "INSERT INTO public.audit_archives_auditarchive VALUES (gen_random_uuid(), 'public', "
            "1, 1, 1, %s, %s, 'x', 1, 'x', %s, NULL)",
            *values,
            match="permission denied",
        )

    def test_a_tenant_removes_no_event(self, old_trail):
        archive_and_remove()
        self.refused("DELETE FROM core_auditevent", match="permission denied")
        self.refused("DELETE FROM core_auditleaf", match="permission denied")
        self.refused(
            "UPDATE public.audit_archives_auditarchive SET removed_at = now()",
            match="permission denied",
        )

    def test_a_tenant_sees_its_own_archives_only(self, old_trail, globex):
        with schema_context(old_trail.schema_name):
            keep_trail(timezone.now())
            assert AuditArchive.objects.count() == 1
        with schema_context(globex.schema_name):
            assert AuditArchive.objects.count() == 0

    @pytest.mark.parametrize(
        "change", ["sha256 = 'x'", "last_seal = 99", "schema = 'public'", "removed_at = NULL"]
    )
    def test_an_archive_stays_as_it_was_entered(self, old_trail, change):
        keep_trail(timezone.now())
        with schema_context("public"):
            self.refused(
                f"UPDATE audit_archives_auditarchive SET {change}", match="stay as they are"
            )
            self.refused("DELETE FROM audit_archives_auditarchive", match="permission denied")

    def test_the_platform_removes_nothing_young_and_nothing_that_nobody_archived(self, old_trail):
        with schema_context("public"):
            for first, last, match in ((1, 4, "too young"), (1, 3, "No sealed event")):
                with pytest.raises(DatabaseError, match=match), transaction.atomic():
                    archive = AuditArchive.objects.create(
                        schema=old_trail.schema_name,
                        first_seal=first,
                        last_seal=last,
                        events=1,
                        first_at=YEARS_AGO,
                        last_at=YEARS_AGO,
                        sha256="0" * 64,
                        size_bytes=1,
                        stored_as="x",
                        made_at=timezone.now(),
                    )
                    AuditArchive.objects.filter(pk=archive.pk).update(removed_at=timezone.now())

    def test_even_the_owner_deletes_only_what_was_archived(self, owner_session):
        with schema_context("public"), connection.cursor() as cursor:
            seal(YEARS_AGO)
            for table in ("core_auditleaf", "core_auditevent"):
                with pytest.raises(DatabaseError, match="what is not archived stays"):
                    with transaction.atomic():
                        cursor.execute(f"DELETE FROM {table}")


def test_the_acts_of_archiving_are_in_the_trail(old_trail):
    archive_and_remove()
    (archive,) = archives_here()

    made = AuditEvent.objects.get(code=ARCHIVE_ACT)
    assert made.details["sha256"] == archive.sha256
    assert (made.details["first_seal"], made.details["last_seal"]) == (1, 3)
    assert AuditEvent.objects.get(code="core.audit.remove").outcome == "done"
