"""Files and logs go when their time is over, and not before; the execution stays."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from django_tenants.utils import schema_context, tenant_context

from execfabric.core.actor import current_schema
from execfabric.core.errors import InvalidInput, NotPermitted, ProofNeeded
from execfabric.core.models import AuditEvent
from execfabric.core.storage import INCOMING
from skills.executions import files, retention, running, services
from skills.executions.models import Artifact, Execution, InputUse, StoredContent, StoredFile
from skills.executions.selectors import files_kept_until
from skills.executions.tasks import sweep_files_of_all_tenants
from tests.factories.skills import make_skill

NOW = timezone.now()
API = "/api/v1"
OWN = uuid4().bytes
"""Tests that run beside these store files under the same digests in the same folder."""
CODE = """
import os
from pathlib import Path

def main(orders):
    print("to the log")
    out = Path(os.environ["EXECFABRIC_OUTPUT_DIR"])
    (out / "report.txt").write_text("secret of the run")
    return {"kept": "for good"}
"""
FILE_INPUT = '[inputs.orders]\ntype = "string"\nformat = "file"\n'


@pytest.fixture
def oscar(acme, person):
    return person("oscar")


@pytest.fixture
def skill(acme):
    return make_skill(code=CODE, inputs=FILE_INPUT)


@pytest.fixture
def run(oscar, skill):
    """Run it with a file; returns the execution that ended so many days ago."""

    def ask_and_run(file, *, days_ago: float = 0) -> Execution:
        execution = services.request_execution(
            actor=oscar.actor, skill=skill, inputs={"orders": str(file.pk)}
        )
        running.run_execution(str(execution.pk))
        Execution.objects.filter(pk=execution.pk).update(finished_at=NOW - timedelta(days=days_ago))
        execution.refresh_from_db()
        return execution

    return ask_and_run


def upload(who, content=b"a;b\n", name="orders.csv"):
    return files.upload_file(actor=who.actor, name=name, content=io.BytesIO(OWN + content))


def sweep(now=NOW):
    retention.sweep_files(now, until=time.monotonic() + 60)


def is_stored(file) -> bool:
    return default_storage.exists(file.stored_as)


def age(file, days: float) -> None:
    StoredFile.objects.filter(pk=file.pk).update(created_at=NOW - timedelta(days=days))


def test_what_ended_long_ago_loses_files_and_log_and_keeps_its_record(oscar, run):
    file = upload(oscar)
    execution = run(file, days_ago=91)
    artifact = execution.artifacts.get()
    assert is_stored(artifact)

    sweep()

    execution.refresh_from_db()
    assert execution.files_removed_at == NOW
    assert execution.output == {"kept": "for good"}
    assert not is_stored(artifact)
    assert not is_stored(file)
    assert not execution.log_chunks.exists()
    assert Artifact.objects.get(pk=artifact.pk).sha256 == artifact.sha256
    assert AuditEvent.objects.filter(target_id=str(execution.pk)).exists()
    for code in ("executions.files.remove", "executions.file.expire"):
        event = AuditEvent.objects.get(code=code)
        assert (event.outcome, event.actor_name) == ("done", "system:retention")
    assert str(execution.pk) in str(AuditEvent.objects.get(code="executions.files.remove").details)


def test_what_ended_within_the_time_keeps_everything(oscar, run):
    file = upload(oscar)
    age(file, 400)
    execution = run(file, days_ago=89)

    sweep()

    execution.refresh_from_db()
    assert execution.files_removed_at is None
    assert is_stored(execution.artifacts.get())
    assert is_stored(file)
    assert execution.log_chunks.exists()
    assert not AuditEvent.objects.filter(actor_name="system:retention").exists()


def test_an_execution_that_waits_keeps_its_input_however_old_that_is(oscar):
    skill = make_skill("asks", code=CODE, inputs=FILE_INPUT, manifest="confirm = true")
    file = upload(oscar)
    services.request_execution(actor=oscar.actor, skill=skill, inputs={"orders": str(file.pk)})
    age(file, 1000)

    sweep()

    assert is_stored(file)


def test_an_upload_nobody_used_expires_and_can_then_not_be_used(oscar, skill):
    old, new = upload(oscar, b"old"), upload(oscar, b"new")
    age(old, 1.1)

    sweep()

    assert not StoredFile.objects.filter(pk=old.pk).exists()
    assert not is_stored(old)
    assert is_stored(new)
    with pytest.raises(InvalidInput) as caught:
        services.request_execution(actor=oscar.actor, skill=skill, inputs={"orders": str(old.pk)})
    assert "expired" in caught.value.fields["orders"]


def test_shared_content_goes_with_the_last_file_that_has_it(oscar, person, run):
    mine, hers = upload(oscar), upload(person("dana"))
    assert mine.stored_as == hers.stored_as
    run(mine, days_ago=91)

    sweep()
    mine.refresh_from_db()
    assert mine.content is None
    assert is_stored(hers)

    age(hers, 2)
    sweep()
    assert not is_stored(hers)
    assert not StoredContent.objects.exists()


def test_a_file_two_executions_were_given_stays_for_the_later_one(oscar, run):
    file = upload(oscar)
    run(file, days_ago=91)
    run(file, days_ago=1)

    sweep()

    assert is_stored(file)
    assert InputUse.objects.filter(file=file).count() == 2


def test_a_step_that_broke_off_is_done_by_the_next_sweep(oscar, run, monkeypatch):
    execution = run(upload(oscar), days_ago=91)
    monkeypatch.setattr(retention, "delete_folder", lambda _folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sweep()
    execution.refresh_from_db()
    assert execution.files_removed_at is None
    monkeypatch.undo()

    sweep()

    execution.refresh_from_db()
    assert execution.files_removed_at == NOW


def test_many_go_in_steps_with_an_event_each(oscar, run, monkeypatch):
    monkeypatch.setattr(retention, "STEP", 2)
    file = upload(oscar)
    for _number in range(3):
        run(file, days_ago=91)

    sweep()

    assert not Execution.objects.filter(files_removed_at__isnull=True).exists()
    assert AuditEvent.objects.filter(code="executions.files.remove").count() == 2


def test_a_sweep_whose_time_is_up_begins_no_step(oscar, run):
    execution = run(upload(oscar), days_ago=91)

    retention.sweep_files(NOW, until=time.monotonic() - 1)

    execution.refresh_from_db()
    assert execution.files_removed_at is None


def test_the_task_sweeps_every_schema_and_one_that_fails_stops_no_other(oscar, run, monkeypatch):
    execution = run(upload(oscar), days_ago=91)
    real, swept = retention.sweep_files, []

    def sweeps(now, *, until):
        swept.append(current_schema())
        if current_schema() != oscar.actor.schema:
            raise RuntimeError("This one is broken.")
        real(now, until=until)

    monkeypatch.setattr(retention, "sweep_files", sweeps)
    with schema_context("public"):
        sweep_files_of_all_tenants.run()

    execution.refresh_from_db()
    assert execution.files_removed_at is not None
    assert len(swept) == 4, "public, free, acme, globex"


def test_parts_of_killed_uploads_are_swept_and_those_in_progress_are_not(acme):
    part = default_storage.save(f"{acme.schema_name}/{INCOMING}/x.part", ContentFile(b"half"))

    sweep(now=timezone.now())
    assert default_storage.exists(part)
    sweep(now=timezone.now() + timedelta(hours=7))

    assert not default_storage.exists(part)


def test_content_whose_upload_was_undone_is_swept(oscar, acme):
    file = upload(oscar, b"undone")
    kept = upload(oscar, b"kept")
    # Other tests, whose records were undone, too, may have left files in the same folders.
    sweep_folders_of(file, kept)
    tidied = AuditEvent.objects.filter(code="executions.file.tidy")
    before = tidied.count()
    StoredFile.objects.filter(pk=file.pk).delete()
    StoredContent.objects.filter(pk=file.sha256).delete()

    sweep_folders_of(file, kept)

    assert not is_stored(file)
    assert is_stored(kept)
    assert tidied.count() == before + 1


def sweep_folders_of(*files):
    """Make the sweeps whose turn the folders of files are, two days from now."""
    after = timezone.now() + timedelta(days=2)
    for folder in {file.sha256[:2] for file in files}:
        turn = int(after.timestamp() // 300)
        at = after + timedelta(seconds=300 * ((int(folder, 16) - turn) % 256))
        for file in files:
            age(file, -10)
        sweep(now=at)


class TestTheSetting:
    def test_a_manager_chooses_and_the_date_follows(self, oscar, person, run, settings):
        execution = run(upload(oscar))
        assert files_kept_until(execution) == NOW + timedelta(days=90)

        retention.set_retention(actor=person("olivia").actor, days=7)

        assert files_kept_until(execution) == NOW + timedelta(days=7)
        shown = oscar.api.get(f"{API}/executions/{execution.pk}").json()
        assert shown["files_kept_until"][:10] == str((NOW + timedelta(days=7)).date())
        assert shown["files_removed_at"] is None
        settings.FILES_KEPT_DAYS_MOST = 3
        assert files_kept_until(execution) == NOW + timedelta(days=3)

    def test_what_has_not_ended_has_no_date(self, oscar, skill):
        execution = services.request_execution(
            actor=oscar.actor, skill=skill, inputs={"orders": str(upload(oscar).pk)}
        )

        assert files_kept_until(execution) is None

    @pytest.mark.parametrize("days", [0, 731, -1])
    def test_it_stays_within_what_the_platform_allows(self, person, acme, days):
        with pytest.raises(InvalidInput, match="from 1 to 730"):
            retention.set_retention(actor=person("olivia").actor, days=days)

    def test_it_asks_for_a_fresh_proof_for_what_is_removed_does_not_come_back(self, person, acme):
        stale = replace(person("olivia").actor, is_proven=False)

        with pytest.raises(ProofNeeded):
            retention.set_retention(actor=stale, days=1)

    def test_nobody_else_may(self, oscar):
        with pytest.raises(NotPermitted):
            retention.set_retention(actor=oscar.actor, days=7)

    def test_it_is_the_tenant_s_own(self, person, acme, globex):
        with tenant_context(acme):
            retention.set_retention(actor=person("olivia").actor, days=7)

        assert retention.days_kept() == 90
