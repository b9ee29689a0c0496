"""A worker whose machine, database or storage lets it down: no run is lost or told untruly."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.db import DataError, OperationalError, connection
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor
from execfabric.core.models import AuditEvent
from executors.script.follow import FollowedRun
from skills.executions import (
    lifecycle,
    moves,
    queue,
    recording,
    run_folders,
    running,
    scanning,
    services,
    tasks,
)
from skills.executions.models import Artifact, Execution, LogChunk
from skills.executions.states import Status
from tenants.registry.models import Tenant, TenantStatus
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
LATER = timedelta(hours=1)
TWO_FILES = """
import os
from pathlib import Path

def main() -> dict:
    for name in ("a.txt", "b.txt"):
        Path(os.environ["EXECFABRIC_OUTPUT_DIR"], name).write_text(name)
    print("sent")
    return {"summary": "Sent 100 invoices.", "sent": 100}
"""


@pytest.fixture
def ask(person):
    oscar = person("oscar").actor

    def request(skill=None):
        return services.request_execution(actor=oscar, skill=skill or make_skill(), inputs={})

    return request


@pytest.fixture
def claimed(ask):
    return lifecycle.claim_execution(actor=Actor.system("worker"), execution_id=ask().pk)


def run(execution):
    running.run_execution(str(execution.pk))
    execution.refresh_from_db()
    return execution


def failing(service, *, times, error):
    """Return service, but for its first calls, which raise error."""
    calls = iter(range(times))

    def maybe(*args, **kwargs):
        if next(calls, None) is not None:
            raise error
        return service(*args, **kwargs)

    return maybe


def stored_files(execution):
    folder = f"{connection.schema_name}/artifacts/{execution.pk}"
    return default_storage.listdir(folder)[1] if default_storage.exists(folder) else []


def never(*_args, **_kwargs):
    pytest.fail("This must not happen.")


class TestLostConnections:
    def test_a_result_is_recorded_once_the_database_is_back(self, ask, monkeypatch):
        gone = OperationalError("the connection is closed")
        finish = failing(lifecycle.finish_execution, times=2, error=gone)
        monkeypatch.setattr(lifecycle, "finish_execution", finish)
        monkeypatch.setattr(recording, "PAUSES_S", (0, 0))

        assert run(ask()).status == Status.SUCCEEDED

    def test_a_result_recorded_without_an_answer_keeps_its_files(self, ask, monkeypatch):
        finish = lifecycle.finish_execution

        def finish_without_answer(**result):
            monkeypatch.setattr(lifecycle, "finish_execution", finish)
            finish(**result)
            raise OperationalError("the connection is closed")

        monkeypatch.setattr(lifecycle, "finish_execution", finish_without_answer)

        execution = run(ask(make_skill(code=TWO_FILES)))

        assert execution.status == Status.SUCCEEDED
        assert len(stored_files(execution)) == execution.artifacts.count() == 2


class TestWhatIsRecorded:
    def test_files_that_cannot_be_stored_fail_the_run_and_keep_its_output(self, ask, monkeypatch):
        full = OSError(28, "No space left on device")
        real, calls = recording.store_file, []

        def store_one(*args):
            calls.append(args)
            if len(calls) > 1:
                raise full
            return real(*args)

        monkeypatch.setattr(recording, "store_file", store_one)

        execution = run(ask(make_skill(code=TWO_FILES)))

        assert (execution.status, execution.stop_reason) == (Status.FAILED, "platform_failed")
        assert execution.summary.startswith("It ran, but its files could not be stored.")
        assert (execution.output["sent"], execution.exit_code) == (100, 0)
        assert execution.wall_s > 0
        assert len(execution.skipped_artifacts) == 2
        assert stored_files(execution) == []

    def test_a_result_the_database_does_not_take_still_ends_the_run(self, ask, monkeypatch):
        finish = failing(lifecycle.finish_execution, times=1, error=DataError("bad text"))
        monkeypatch.setattr(lifecycle, "finish_execution", finish)

        execution = run(ask(make_skill(code=TWO_FILES)))

        assert (execution.status, execution.output) == (Status.FAILED, None)
        assert execution.summary == "It ran, but its result could not be stored."
        assert (execution.exit_code, stored_files(execution)) == (0, [])

    def test_a_refused_result_leaves_no_files(self, ask, monkeypatch):
        stale = lifecycle.StaleLease("gone")
        finish = failing(lifecycle.finish_execution, times=1, error=stale)
        monkeypatch.setattr(lifecycle, "finish_execution", finish)

        execution = run(ask(make_skill(code=TWO_FILES)))

        assert execution.status == Status.RUNNING
        assert stored_files(execution) == []
        assert not Artifact.objects.exists()

    def test_a_platform_that_breaks_in_the_middle_does_not_say_it_never_started(
        self, ask, monkeypatch
    ):
        def break_down(*_args, **_kwargs):
            raise RuntimeError("out of luck")

        monkeypatch.setattr(FollowedRun, "result", break_down)

        execution = run(ask())

        assert (execution.status, execution.stop_reason) == (Status.FAILED, "platform_failed")
        assert "may have run in part" in execution.summary

    def test_a_log_that_cannot_be_written_does_not_end_the_run(self, ask, monkeypatch):
        gone = OperationalError("the connection is closed")
        monkeypatch.setattr(
            lifecycle, "append_log", failing(lifecycle.append_log, times=1, error=gone)
        )

        execution = run(ask())

        assert execution.status == Status.SUCCEEDED

    def test_no_room_for_a_run_is_a_failed_execution(self, ask, monkeypatch):
        def full():
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(run_folders, "_free", [])
        monkeypatch.setattr(run_folders, "_root", full)

        execution = run(ask())

        assert (execution.status, execution.stop_reason) == (Status.FAILED, "could_not_start")

    def test_a_stale_worker_adds_nothing_to_a_run_that_is_over(self, claimed):
        scanning.scan_executions(timezone.now() + LATER)

        with pytest.raises(lifecycle.StaleLease):
            lifecycle.append_log(claimed, seq=1, stream="stdout", text="still talking\n")
        with pytest.raises(lifecycle.StaleLease):
            lifecycle.note_progress(claimed, fraction=0.5, message="half")
        sink = running.LiveSink(claimed, alive=lambda: True)
        sink.log("stdout", "still talking\n")
        sink.store()

        assert not LogChunk.objects.exists()


class TestClosedTenants:
    @pytest.fixture(params=[TenantStatus.SUSPENDED, TenantStatus.CLOSED])
    def close(self, request, acme):
        def close_it():
            with schema_context("public"):
                closed_at = timezone.now() if request.param == TenantStatus.CLOSED else None
                closed = {"status": request.param, "closed_at": closed_at}
                Tenant.objects.filter(pk=acme.pk).update(**closed)

        return close_it

    def test_nothing_of_a_closed_tenant_runs(self, ask, close, monkeypatch):
        execution = ask()
        monkeypatch.setattr(running, "sync_script", never)
        close()

        assert run(execution).status == Status.QUEUED
        refused = AuditEvent.objects.get(outcome="refused")
        assert refused.code == "executions.execution.claim"

    def test_its_lost_runs_are_found_and_its_queued_ones_not_sent(
        self, ask, claimed, close, monkeypatch
    ):
        waiting = ask()
        Execution.objects.filter(pk=waiting.pk).update(sent_at=timezone.now() - 2 * LATER)
        Execution.objects.filter(pk=claimed.pk).update(lease_expires_at=timezone.now() - LATER)
        monkeypatch.setattr(moves, "send_executions", never)
        close()

        scan()

        claimed.refresh_from_db()
        assert claimed.status == Status.LOST


def scan():
    """Scan every schema as the task does, and come back."""
    tenant = connection.tenant
    connection.set_schema_to_public()
    try:
        tasks.scan_all_tenants.run()
    finally:
        connection.set_tenant(tenant)


class TestScans:
    def test_a_schema_that_fails_keeps_no_other_from_its_turn(self, acme, monkeypatch):
        seen = []

        def scan_one(_now, **_how):
            seen.append(connection.schema_name)
            if len(seen) == 1:
                raise RuntimeError("no such column")

        monkeypatch.setattr(scanning, "scan_executions", scan_one)

        scan()

        with schema_context("public"):
            assert sorted(seen) == sorted(Tenant.objects.values_list("schema_name", flat=True))
        assert len(seen) > 2

    def test_a_queue_that_is_away_is_asked_once_for_all_schemas(self, acme, monkeypatch):
        asked, takes_work = [], set()

        def away():
            asked.append(1)
            return False

        monkeypatch.setattr(queue, "answers", away)
        monkeypatch.setattr(
            scanning, "scan_executions", lambda _now, **how: takes_work.add(how["takes_work"])
        )

        scan()

        assert (len(asked), takes_work) == (1, {False})

    def test_a_row_that_fails_keeps_no_other_from_its_turn(self, ask, monkeypatch):
        worker = Actor.system("worker")
        first, second = (
            lifecycle.claim_execution(actor=worker, execution_id=ask(skill).pk)
            for skill in (make_skill(), make_skill("other"))
        )
        error = RuntimeError("a broken row")
        monkeypatch.setattr(
            lifecycle, "lose_execution", failing(lifecycle.lose_execution, times=1, error=error)
        )

        scanning.scan_executions(timezone.now() + LATER)

        statuses = {Execution.objects.get(pk=each.pk).status for each in (first, second)}
        assert statuses == {Status.RUNNING, Status.LOST}


class TestRunFolders:
    def test_a_folder_in_use_stays_and_one_left_behind_goes(self):
        with run_folders.make_run_folder() as used:
            left = used.with_name("run-killed")
            (left / "inputs").mkdir(parents=True)
            (left / "inputs" / "private.csv").write_text("private")

            run_folders.sweep_run_folders()

            assert used.is_dir()
            assert not left.exists()

    def test_a_folder_serves_one_run_after_another_and_is_empty_each_time(self):
        with run_folders.make_run_folder() as first:
            (first / "inputs" / "deep").mkdir(parents=True)
            (first / "inputs" / "private.csv").write_text("private")

        with run_folders.make_run_folder() as second, run_folders.make_run_folder() as third:
            assert second == first != third
            assert list(second.iterdir()) == []

    def test_runs_sweep_now_and_then(self, monkeypatch):
        with run_folders.make_run_folder() as used:
            root = used.parent
        left = root / "run-killed"
        left.mkdir()

        with run_folders.make_run_folder():
            assert left.exists()
        monkeypatch.setattr(run_folders, "_swept_at", -run_folders.SWEEP_EVERY_S)
        with run_folders.make_run_folder():
            assert not left.exists()
