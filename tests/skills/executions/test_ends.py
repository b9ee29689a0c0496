"""Rows of batches that end at about the same time are recorded in one statement."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from execfabric.core import statements
from execfabric.core.actor import Actor, Door
from execfabric.core.models import AuditEvent
from execfabric.core.request_context import request_id_scope
from executors.contract import ExecutionResult, Outcome, OutputFile, StopReason, Usage
from skills.executions import ends, hooks, lifecycle, services
from skills.executions.ends import End, Recorder
from skills.executions.heartbeat import Heartbeat
from skills.executions.models import Execution, LogChunk
from skills.executions.news import NO_NEWS, UnstoredNews
from skills.executions.recording import record_result
from skills.executions.states import Status
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
WORKER = "worker"
RESULT = ExecutionResult(
    outcome=Outcome.SUCCEEDED,
    stop_reason=StopReason.EXITED,
    exit_code=0,
    output={"z": [1, 2.5, None], "a": "ü \U0001f680 %s"},
    summary="Sent 3.",
    skipped_artifacts=["One was too large."],
    usage=Usage(wall_s=0.25, cpu_s=0.125, peak_memory_bytes=2**33),
    log_bytes_dropped=7,
)
FAILED = ExecutionResult(
    outcome=Outcome.FAILED, stop_reason=StopReason.EXITED, exit_code=3, error="Trace\nValueError"
)


@pytest.fixture
def claimed(person):
    """Claim a new execution, which came as the row of a batch."""
    oscar = person("oscar").actor
    skill = make_skill()

    def claim() -> Execution:
        with request_id_scope():
            asked = services.request_execution(actor=oscar, skill=skill, inputs={})
        Execution.objects.filter(pk=asked.pk).update(door=Door.BATCH)
        return lifecycle.claim_execution(actor=Actor.system(WORKER), execution_id=asked.pk)

    return claim


def news_of(execution: Execution) -> UnstoredNews:
    chunk = LogChunk(
        execution=execution, seq=1, stream="stdout", text="done: 'ü' \\ \"x\"\n", at=timezone.now()
    )
    return UnstoredNews((chunk,), (0.5, "half"))


def end_of(execution: Execution, result: ExecutionResult = RESULT) -> End:
    return End(execution, result, news_of(execution), timezone.now(), lambda: None)


def stored(execution: Execution) -> dict[str, object]:
    """Return all that stands of an execution, but what differs between any two."""
    row = Execution.objects.values().get(pk=execution.pk)
    own = ("id", "created_at", "sent_at", "started_at", "finished_at", "request_id")
    log = execution.log_chunks.values_list("seq", "stream", "text")
    return {name: value for name, value in row.items() if name not in own} | {"log": list(log)}


def events_of(execution: Execution) -> list[dict[str, object]]:
    found = AuditEvent.objects.filter(target_id=execution.pk).order_by("pk").values()
    about = str(execution.pk)
    return [
        {
            name: str(value).replace(about, "…")
            for name, value in event.items()
            if name not in {"id", "at", "request_id"}
        }
        for event in found
    ]


@pytest.mark.parametrize("result", [RESULT, FAILED])
def test_what_is_recorded_together_stands_there_as_by_itself(claimed, result):
    single, *several = (claimed() for _ in range(3))
    record_result(Actor.system(WORKER), single, result, news_of(single))

    ends._record([end_of(one, result) for one in several])

    for one in several:
        assert stored(one) == stored(single)
        assert events_of(one) == events_of(single)
        assert list(Execution.objects.get(pk=one.pk).output or {}) == list(result.output or {})
        trail = AuditEvent.objects.get(target_id=one.pk, code=ends.FINISH)
        assert trail.request_id == one.request_id != ""


def test_progress_that_was_stored_before_stays(claimed):
    one, other = claimed(), claimed()
    lifecycle.note_progress(one, fraction=0.75, message="nearly")

    ends._record([replace(end_of(each), news=NO_NEWS) for each in (one, other)])

    one.refresh_from_db()
    assert (one.progress_fraction, one.progress_message) == (0.75, "nearly")
    assert one.status == Status.SUCCEEDED


def test_it_takes_one_statement_events_and_logs_included(claimed):
    several = [end_of(claimed()) for _ in range(5)]

    with CaptureQueriesContext(connection) as captured:
        ends._record(several)

    assert len(captured.captured_queries) == 1


def test_so_many_at_most_are_in_one_statement(claimed, monkeypatch):
    monkeypatch.setattr(ends, "MOST_TOGETHER", 2)
    several = [claimed() for _ in range(4)]

    with CaptureQueriesContext(connection) as captured:
        ends._record([end_of(each) for each in several])

    assert len(captured.captured_queries) == 2
    assert set(Execution.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}


def test_one_that_was_given_up_is_refused_and_keeps_no_other(claimed):
    one, stale, other = (claimed() for _ in range(3))
    lifecycle.lose_execution(
        actor=Actor.system("scan"),
        execution=stale,
        found_at=stale.lease_expires_at + lifecycle.LEASE / 2,
    )

    ends._record([end_of(each) for each in (one, stale, other)])

    by_status = {each.pk: each.status for each in Execution.objects.all()}
    assert by_status == {
        one.pk: Status.SUCCEEDED,
        stale.pk: Status.LOST,
        other.pk: Status.SUCCEEDED,
    }
    assert not stale.log_chunks.exists()
    outcomes = AuditEvent.objects.filter(target_id=stale.pk, code=ends.FINISH)
    assert list(outcomes.values_list("outcome", flat=True)) == ["refused"]


def test_one_the_database_does_not_take_keeps_no_other(claimed, monkeypatch):
    send = statements.send

    def send_alone(*given):
        with transaction.atomic():  # Outside of tests each statement is a transaction.
            return send(*given)

    monkeypatch.setattr(statements, "send", send_alone)
    one, odd, other = (claimed() for _ in range(3))
    bad = RESULT.model_copy(update={"output": {"n": float("nan")}})

    ends._record([end_of(one), end_of(odd, bad), end_of(other)])

    for each in (one, other):
        assert stored(each)["status"] == Status.SUCCEEDED
    kept = stored(odd)
    assert (kept["status"], kept["output"]) == (Status.FAILED, None)
    assert kept["summary"] == "It ran, but its result could not be stored."


def test_one_that_is_recorded_by_itself_bears_the_id_of_its_request(claimed):
    one, stale = claimed(), claimed()
    lifecycle.lose_execution(
        actor=Actor.system("scan"),
        execution=stale,
        found_at=stale.lease_expires_at + lifecycle.LEASE / 2,
    )

    for each in (one, stale):
        ends._record([end_of(each)])

        trail = AuditEvent.objects.get(target_id=each.pk, code=ends.FINISH)
        assert trail.request_id == each.request_id != ""


def test_one_that_cannot_be_recorded_at_all_keeps_no_other(claimed, monkeypatch):
    several = [claimed() for _ in range(3)]

    def fail_for_the_first(actor, execution, result, news):
        if execution is several[0]:
            raise ValueError
        record_result(actor, execution, result, news)

    def fail(**_given):
        raise ValueError

    monkeypatch.setattr(ends, "finish_executions", fail)
    monkeypatch.setattr(ends, "record_result", fail_for_the_first)

    ends._record([end_of(each) for each in several])

    found = [Execution.objects.get(pk=each.pk).status for each in several]
    assert found == [Status.RUNNING, Status.SUCCEEDED, Status.SUCCEEDED]


class TestRecorder:
    @pytest.fixture
    def recorded(self, monkeypatch):
        """What was recorded, in groups."""
        groups: list[list[str]] = []
        monkeypatch.setattr(
            ends, "_record", lambda found: groups.append([end.execution.pk for end in found])
        )
        return groups

    @pytest.fixture
    def recorder(self, monkeypatch):
        monkeypatch.setattr(hooks, "has_owner", lambda door: door == Door.BATCH)
        recorder = Recorder()
        yield recorder
        if recorder.is_alive():
            recorder.stop(5)

    def test_leases_are_kept_until_it_is_recorded(self, claimed, recorder, recorded, monkeypatch):
        heartbeat, kept = Heartbeat(), []
        one = claimed()
        monkeypatch.setattr(ends, "_record", lambda _ends: kept.append(heartbeat.kept))
        recorder.start()
        keeping = heartbeat.keep(one)
        keeping.__enter__()

        assert ends.hand_over(one, RESULT, NO_NEWS, lambda: keeping.__exit__(None, None, None))
        recorder.stop(5)

        assert kept == [1]
        assert heartbeat.kept == 0

    def test_what_ended_together_is_recorded_at_once_and_the_rest_at_the_end(
        self, claimed, recorder, recorded
    ):
        several = [claimed() for _ in range(3)]
        recorder.start()
        for each in several:
            assert ends.hand_over(each, RESULT, NO_NEWS, lambda: None)
        recorder.stop(5)

        assert [pk for group in recorded for pk in group] == [each.pk for each in several]
        assert not ends.hand_over(several[0], RESULT, NO_NEWS, lambda: None)
        assert not recorder.add(end_of(several[0])), "nobody would record it"

    def test_a_lease_is_let_go_of_where_nothing_could_be_recorded(
        self, claimed, recorder, monkeypatch
    ):
        def fail(_ends):
            raise ValueError

        let_go = []
        monkeypatch.setattr(ends, "_record", fail)
        recorder.start()
        assert ends.hand_over(claimed(), RESULT, NO_NEWS, lambda: let_go.append(True))
        give_up_at = time.monotonic() + 5
        while not let_go and time.monotonic() < give_up_at:
            time.sleep(0.01)

        assert let_go
        assert recorder.is_alive()

    def test_where_recording_hangs_each_records_its_own_again(
        self, claimed, recorder, recorded, monkeypatch
    ):
        monkeypatch.setattr(ends, "MOST_WAITING", 2)
        one = claimed()
        monkeypatch.setattr(ends, "_recorder", recorder)

        taken = [ends.hand_over(one, RESULT, NO_NEWS, lambda: None) for _ in range(3)]

        assert taken == [True, True, False]

    def test_what_somebody_may_wait_for_is_left_to_its_slot(
        self, claimed, recorder, monkeypatch, tmp_path
    ):
        monkeypatch.setattr(ends, "_recorder", recorder)
        one = claimed()
        file = OutputFile(name="a.txt", path=tmp_path / "a.txt", size_bytes=1, sha256="")
        with_file = RESULT.model_copy(update={"artifacts": [file]})
        chunk = news_of(one).log[0]

        assert not ends.hand_over(one, with_file, NO_NEWS, lambda: None)
        assert not ends.hand_over(one, RESULT, UnstoredNews((chunk, chunk)), lambda: None)
        one.is_limited = True
        assert not ends.hand_over(one, RESULT, NO_NEWS, lambda: None)
        one.is_limited, one.door = False, Door.API
        assert not ends.hand_over(one, RESULT, NO_NEWS, lambda: None)
