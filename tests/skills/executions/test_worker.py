"""A worker whose machine, database or storage lets it down: no run is lost or told untruly."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.signals import task_prerun
from django.core.files.storage import default_storage
from django.db import DataError, OperationalError, connection
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.celery import app, prepare_for_runs, tell_supervisor
from execfabric.core.actor import Actor
from execfabric.core.models import AuditEvent
from executors.contract import ExecutorError, Limits
from skills.executions import lifecycle, moves, recording, run_folders, running, services, tasks
from skills.executions.heartbeat import Heartbeat
from skills.executions.models import Artifact, Execution, LogChunk
from skills.executions.states import Status
from tenants.registry.models import Tenant, TenantStatus
from tests.factories.skills import make_skill
from tests.owner import owner_connection

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
    return lifecycle.claim_execution(actor=Actor.system("worker"), execution=ask())


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
    def test_a_task_gets_a_new_connection_where_the_old_one_died(self, acme):
        with ThreadPoolExecutor(1) as worker:
            # The calls are made there: each thread has a connection of its own.
            worker.submit(lambda: connection.set_schema_to_public()).result()
            backend = worker.submit(backend_of_this_thread).result()
            kill(backend)

            worker.submit(self.begin_task, acme.schema_name).result()
            after = worker.submit(backend_of_this_thread).result()
            worker.submit(lambda: connection.close()).result()

        assert after != backend

    def begin_task(self, schema):
        task = app.tasks["executions.run_execution"]
        task.push_request(headers={"_schema_name": schema})
        try:
            task_prerun.send(sender=task, task_id="1", task=task, args=(), kwargs={})
        finally:
            task.pop_request()
        assert connection.schema_name == schema

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


def backend_of_this_thread() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def kill(backend: int) -> None:
    with owner_connection() as server:
        server.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])


class TestHeartbeat:
    @pytest.fixture
    def renewals(self, monkeypatch):
        """Count the renewals of runs in this test."""
        seen = []

        def renewal_of(execution):
            return lambda: seen.append(execution.pk) is None

        monkeypatch.setattr(running, "renewal_of", renewal_of)
        beat = running.Heartbeat
        monkeypatch.setattr(running, "Heartbeat", lambda renew: beat(renew, every_s=0.02))
        return seen

    @pytest.mark.parametrize(
        ("module", "name"), [(running, "sync_script"), (recording, "store_file")]
    )
    def test_the_lease_is_renewed_while_a_run_is_prepared_and_stored(
        self, ask, renewals, monkeypatch, module, name
    ):
        real = getattr(module, name)
        renewed = []

        def slow(*args):
            before = len(renewals)
            wait_for(lambda: len(renewals) > before + 2)
            renewed.append(len(renewals) - before)
            return real(*args)

        monkeypatch.setattr(module, name, slow)

        assert run(ask(make_skill(code=TWO_FILES))).status == Status.SUCCEEDED
        assert renewed
        assert "heartbeat" not in {thread.name for thread in threading.enumerate()}

    @pytest.mark.parametrize("answer", [False, lifecycle.StaleLease("gone")])
    def test_a_run_cancelled_or_lost_while_it_is_prepared_never_starts(
        self, ask, monkeypatch, answer
    ):
        def renew():
            if isinstance(answer, Exception):
                raise answer
            return answer

        beats = []
        monkeypatch.setattr(running, "renewal_of", lambda _execution: renew)
        monkeypatch.setattr(
            running,
            "Heartbeat",
            lambda renew: beats.append(Heartbeat(renew, every_s=0)) or beats[0],
        )
        real = running.sync_script

        def sync_until_told(script):
            wait_for(lambda: not beats[0].alive())
            return real(script)

        monkeypatch.setattr(running, "sync_script", sync_until_told)

        execution = run(ask())

        assert (execution.status, execution.stop_reason) == (Status.CANCELLED, "cancel_requested")
        assert not execution.log_chunks.exists()

    def test_a_failing_renewal_is_tried_again(self):
        calls = []

        def renew():
            calls.append(1)
            if len(calls) < 3:
                raise OperationalError("the server closed the connection")
            return True

        with Heartbeat(renew, every_s=0.01) as heartbeat:
            wait_for(lambda: len(calls) > 4)
            assert heartbeat.alive()

    def test_a_cancelled_run_keeps_its_lease_until_it_is_over(self):
        calls = []
        with Heartbeat(lambda: bool(calls.append(1)), every_s=0.01) as heartbeat:
            wait_for(lambda: len(calls) > 3)
            assert not heartbeat.alive()

    def test_a_lease_is_written_before_it_runs_out_and_not_at_every_beat(self, claimed):
        def expires_after(age):
            start = timezone.now() + lifecycle.LEASE - age
            Execution.objects.filter(pk=claimed.pk).update(lease_expires_at=start)
            lifecycle.renew_lease(claimed)
            claimed.refresh_from_db()
            return claimed.lease_expires_at != start

        assert not expires_after(lifecycle.RENEW_EVERY / 2)
        assert expires_after(lifecycle.RENEW_EVERY)


def wait_for(condition, *, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


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
        executor = running.EXECUTORS.get("script")

        def break_down(*_args, **_kwargs):
            raise RuntimeError("out of luck")

        monkeypatch.setattr(executor, "_gather", break_down)

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

        monkeypatch.setattr(run_folders, "_root", full)

        execution = run(ask())

        assert (execution.status, execution.stop_reason) == (Status.FAILED, "could_not_start")

    def test_a_stale_worker_adds_nothing_to_a_run_that_is_over(self, claimed):
        lifecycle.scan_executions(timezone.now() + LATER)

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
                Tenant.objects.filter(pk=acme.pk).update(status=request.param)

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
        monkeypatch.setattr(lifecycle, "send_execution", never)
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

        monkeypatch.setattr(lifecycle, "scan_executions", scan_one)

        scan()

        with schema_context("public"):
            assert sorted(seen) == sorted(Tenant.objects.values_list("schema_name", flat=True))
        assert len(seen) > 2

    def test_a_row_that_fails_keeps_no_other_from_its_turn(self, ask, monkeypatch):
        worker = Actor.system("worker")
        first, second = (
            lifecycle.claim_execution(actor=worker, execution=ask(skill))
            for skill in (make_skill(), make_skill("other"))
        )
        error = RuntimeError("a broken row")
        monkeypatch.setattr(
            lifecycle, "lose_execution", failing(lifecycle.lose_execution, times=1, error=error)
        )

        lifecycle.scan_executions(timezone.now() + LATER)

        statuses = {Execution.objects.get(pk=each.pk).status for each in (first, second)}
        assert statuses == {Status.RUNNING, Status.LOST}

    @pytest.mark.parametrize(("is_empty", "minutes", "sent"), [
        (True, 4, False), (True, 6, True), (False, 6, False), (False, 61, True),
    ])  # fmt: skip
    def test_a_queued_run_is_sent_again_later_while_others_wait(
        self, ask, monkeypatch, is_empty, minutes, sent
    ):
        execution = ask()
        long_ago = timezone.now() - timedelta(minutes=minutes)
        Execution.objects.filter(pk=execution.pk).update(sent_at=long_ago)
        monkeypatch.setattr(moves, "queue_is_empty", lambda: is_empty)

        scan()

        execution.refresh_from_db()
        assert (execution.sent_at > long_ago) is sent

    def test_the_queue_tells_whether_messages_wait(self):
        queue = "executions"
        with app.connection_or_acquire() as broker:
            broker.default_channel.queue_purge(queue)
            assert moves.queue_is_empty()
            app.send_task("executions.run_execution", kwargs={"execution_id": "x"})
            assert not moves.queue_is_empty()
            broker.default_channel.queue_purge(queue)
        assert moves.queue_is_empty()

    def test_a_broker_that_is_away_counts_as_busy(self, monkeypatch):
        away = Celery("away", broker="redis+socket:///nowhere/valkey.sock", set_as_current=False)
        monkeypatch.setattr(moves, "current_app", away)
        started = time.monotonic()

        assert not moves.queue_is_empty()
        assert time.monotonic() - started < 5


class TestProcesses:
    @pytest.mark.parametrize(("queue", "ends"), [("executions", True), ("celery", False)])
    def test_only_a_worker_for_runs_needs_the_isolation(self, monkeypatch, queue, ends):
        def refuse():
            raise ExecutorError("no sandbox here")

        monkeypatch.setattr(running.EXECUTORS.get("script"), "check", refuse)
        queues = SimpleNamespace(consume_from={queue: None})
        worker = SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=queues)))

        with pytest.raises(SystemExit) if ends else nullcontext():
            prepare_for_runs(sender=worker)

    def test_each_worker_says_that_it_is_ready_by_its_own_name(self, settings, tmp_path):
        settings.DATA_DIR = tmp_path

        tell_supervisor(sender=SimpleNamespace(hostname="beat@here"))

        assert [path.name for path in (tmp_path / "run").iterdir()] == ["beat.ready"]

    def test_scans_that_wait_for_the_next_one_are_dropped(self):
        for entry in app.conf.beat_schedule.values():
            assert entry["options"]["expires"] <= entry["schedule"]

    def test_a_message_is_not_delivered_again_while_its_run_may_go_on(self):
        seconds = app.conf.broker_transport_options["visibility_timeout"]

        with pytest.raises(ValueError, match="less than or equal"):
            Limits(timeout_s=seconds)


class TestRunFolders:
    def test_a_folder_in_use_stays_and_one_left_behind_goes(self):
        with run_folders.make_run_folder() as used:
            left = used.with_name("run-killed")
            (left / "inputs").mkdir(parents=True)
            (left / "inputs" / "private.csv").write_text("private")

            run_folders.sweep_run_folders()

            assert used.is_dir()
            assert not left.exists()
        assert not used.exists()

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
