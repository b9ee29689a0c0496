"""The clock's look at every schema, the copies it keeps, and the alarm."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor, Door
from execfabric.core.audit import record
from execfabric.core.models import AuditSeal, Outcome
from execfabric.core.sealing.canonical import canonical
from execfabric.core.sealing.seals import Signer
from execfabric.core.sealing.verifying import kept_seals
from execfabric.core.sealing_state import SealingState, is_in_time, known_state, remember
from execfabric.core.seals import genuine
from governance.audit.sealing import seal_schemas
from governance.tasks import seal_audit_trails

SIGNER = Signer("a key of the tests, long enough to be one")
EVERYTHING = 2**62


def happen(name: str) -> None:
    actor = Actor.system("tests", door=Door.COMMAND)
    record(f"tests.{name}.do", actor=actor, outcome=Outcome.DONE)


def look(folder, *schemas, below_xid=EVERYTHING) -> SealingState:
    return seal_schemas(
        schemas,
        signer=SIGNER,
        folder=folder,
        now=timezone.now(),
        below_xid=below_xid,
        everywhere=True,
    )


def copied(folder, tenant):
    with (folder / f"{tenant.schema_name}.jsonl").open("rb") as lines:
        return kept_seals(lines)[0]


def test_every_seal_is_copied_once(acme, tmp_path):
    happen("one")
    look(tmp_path, acme.schema_name)
    look(tmp_path, acme.schema_name)
    happen("two")

    look(tmp_path, acme.schema_name)

    assert copied(tmp_path, acme) == [genuine(row) for row in AuditSeal.objects.all()]
    assert [one.number for one in copied(tmp_path, acme)] == [1, 2]
    assert (tmp_path / f"{acme.schema_name}.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_copy_that_broke_off_is_made_again(acme, tmp_path):
    happen("one")
    look(tmp_path, acme.schema_name)
    file = tmp_path / f"{acme.schema_name}.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:40])
    happen("two")

    assert look(tmp_path, acme.schema_name).failed == {}

    assert [one.number for one in copied(tmp_path, acme)] == [1, 2]


def test_a_trail_that_was_cut_is_told(acme, tmp_path):
    happen("one")
    look(tmp_path, acme.schema_name)
    other = Signer("another key, with which the trail is written anew").sign(
        genuine(AuditSeal.objects.get())
    )
    copy = tmp_path / f"{acme.schema_name}.jsonl"
    copy.write_bytes(canonical(other.document()) + b"\n")

    (reason,) = look(tmp_path, acme.schema_name).failed.values()

    assert "the trail was cut" in reason


def test_a_schema_that_fails_stops_no_other(globex, acme, tmp_path):
    happen("one")
    with schema_context(globex.schema_name):
        AuditSeal(number=1, document={"no": "seal"}, xid_until=0).save(force_insert=True)

    state = look(tmp_path, globex.schema_name, acme.schema_name)

    assert list(state.failed) == [globex.schema_name]
    assert len(copied(tmp_path, acme)) == 1


def test_a_folder_that_cannot_be_written_is_told(acme, tmp_path):
    (tmp_path / "file").write_text("")
    happen("one")

    assert list(look(tmp_path / "file", acme.schema_name).failed) == [acme.schema_name]


def test_an_event_that_waits_too_long_is_told(acme, tmp_path):
    happen("one")

    late = seal_schemas(
        [acme.schema_name],
        signer=SIGNER,
        folder=tmp_path,
        now=timezone.now() + timedelta(hours=1),
        below_xid=0,
    ).late

    assert list(late) == [acme.schema_name]


def test_the_clock_seals_all_schemas_and_says_so(platform, settings, tmp_path):
    settings.AUDIT_KEY, settings.SEALS_DIR = "k" * 40, tmp_path

    seal_audit_trails.run()

    state = known_state()
    assert state is not None
    assert state.failed == {}
    assert is_in_time(state, now=timezone.now())
    assert not is_in_time(state, now=timezone.now() + timedelta(hours=1))


def test_without_a_key_nothing_is_sealed_and_the_overview_says_so(platform, person, settings):
    settings.AUDIT_KEY = ""
    seal_audit_trails.run()

    page = person("sam").browser.get("/platform/").content.decode()

    assert "set EXECFABRIC_AUDIT_KEY" in page
    assert person("sam").browser.get("/healthz").json()["audit_seals"] == "late"


def test_the_overview_is_quiet_while_all_is_sealed(platform, person):
    remember(SealingState(at=timezone.now()))

    page = person("sam").browser.get("/platform/").content.decode()

    assert "not sealed in time" not in page
    assert person("sam").browser.get("/healthz").json()["audit_seals"] == "ok"


def test_the_overview_names_what_is_late(platform, person):
    now = timezone.now()
    remember(SealingState(at=now, late={"tenant_1001": now - timedelta(hours=1)}))

    page = person("sam").browser.get("/platform/").content.decode()

    assert "tenant_1001" in page.partition("not sealed in time")[2][:500]
