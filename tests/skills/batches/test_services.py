from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.models import AuditEvent
from skills.batches import dispatch, lifecycle, services
from skills.batches.models import Batch
from skills.batches.states import BatchStatus, RowStatus
from skills.catalogue.models import Skill, SkillGrant
from skills.executions import lifecycle as executions
from skills.executions.inputs import digest_of
from skills.executions.models import Execution, InputUse, StoredFile
from skills.executions.states import Status
from tests.factories.skills import make_skill

from .conftest import FOUR_EYES, finish, table_of

NAME = '[inputs.name]\ntype = "string"\n'
TABLE = '[inputs.table]\ntype = "string"\nformat = "file"\n'


def events_about(row) -> list[str]:
    return list(
        AuditEvent.objects.filter(target_id=str(row.pk))
        .order_by("pk")
        .values_list("code", flat=True)
    )


def test_a_draft_holds_checked_rows_and_nothing_runs(greet, draft):
    batch = draft(greet, "Name;TIMES;note\nAda;2;x\nBob;;y\n")

    assert batch.status == BatchStatus.DRAFT
    assert batch.mapping == {"name": "Name", "times": "TIMES"}
    assert [row.inputs for row in batch.rows.all()] == [
        {"name": "Ada", "times": 2},
        {"name": "Bob", "times": 1},
    ]
    assert [row.number for row in batch.rows.all()] == [2, 3]
    assert not Execution.objects.exists()


def test_rows_with_errors_are_counted_and_say_what_is_wrong(greet, draft):
    batch = draft(greet, "name,times\nAda,two\nBob,1\nEve,3,4\n")

    wrong = {row.number: row.errors for row in batch.rows.filter(status=RowStatus.INVALID)}
    assert wrong == {
        2: {"times": "must be a whole number"},
        4: {"row": "has 3 cells, but the header names 2 columns"},
    }
    assert (batch.total_rows, batch.invalid_rows, batch.waiting_rows) == (3, 2, 1)


def test_a_batch_with_errors_starts_only_when_they_are_left_out(greet, draft, oscar):
    batch = draft(greet, "name,times\nAda,two\nBob,1\n")

    with pytest.raises(Conflict, match="1 of 2 rows have errors"):
        services.start_batch(actor=oscar.actor, batch=batch)

    started = services.start_batch(actor=oscar.actor, batch=batch, skip_invalid=True)
    assert started.status == BatchStatus.RUNNING
    assert Execution.objects.get().inputs["name"] == "Bob"


def test_other_columns_and_inputs_for_all_rows_are_checked_again(greet, draft, oscar):
    batch = draft(greet, "who\nAda\nBob\n")
    assert batch.mapping == {}

    services.map_columns(
        actor=oscar.actor, batch=batch, mapping={"name": "WHO"}, inputs={"times": 3}
    )

    assert [row.inputs for row in batch.rows.all()] == [
        {"times": 3, "name": "Ada"},
        {"times": 3, "name": "Bob"},
    ]
    batch.refresh_from_db()
    assert batch.mapping == {"name": "who"}


@pytest.mark.parametrize(
    ("mapping", "fields"),
    [
        ({"age": "who"}, {"age": "is not an input of this skill"}),
        ({"name": "whom"}, {"name": "there is no column 'whom' in the file"}),
        ({"name": 3}, {"name": "must be the name of a column"}),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(greet, draft, mapping, fields):
    with pytest.raises(InvalidInput) as caught:
        draft(greet, "who\nAda\n", mapping=mapping)

    assert caught.value.fields == fields
    assert not Batch.objects.exists()


def test_a_file_whose_columns_fill_nothing_is_not_started(greet, draft, oscar):
    batch = draft(greet, "who\nAda\n")

    with pytest.raises(Conflict, match="No column"):
        services.start_batch(actor=oscar.actor, batch=batch)


def test_all_rows_run_and_then_the_batch_is_finished(greet, draft, oscar, work):
    batch = draft(greet, table_of(15))

    batch = services.start_batch(actor=oscar.actor, batch=batch)
    assert batch.sent_rows == dispatch.FIRST_WINDOW
    done = work(batch, outcomes=[Status.FAILED, Status.TIMED_OUT])

    assert done.done == 15
    assert done.batch.status == BatchStatus.FINISHED
    assert (done.batch.succeeded_rows, done.batch.failed_rows, done.batch.sent_rows) == (13, 2, 0)
    assert [row.status for row in batch.rows.all()[:3]] == ["failed", "timed_out", "succeeded"]
    assert {e.door for e in Execution.objects.all()} == {"batch"}


def test_every_execution_and_the_batch_have_a_trace(greet, draft, oscar, work):
    batch = services.start_batch(actor=oscar.actor, batch=draft(greet, table_of(1)))
    work(batch)

    assert events_about(batch) == [
        "batches.batch.create",
        "batches.batch.release",
        "batches.batch.start",
        "batches.batch.finish",
    ]
    execution = Execution.objects.get()
    assert events_about(execution) == [
        "executions.execution.request",
        "executions.execution.claim",
        "executions.execution.finish",
    ]
    asked = AuditEvent.objects.get(code="executions.execution.request")
    assert (asked.actor_name, asked.door, asked.details["batch"]["id"]) == (
        "oscar",
        "batch",
        str(batch.pk),
    )


def test_what_a_row_becomes_is_stored_and_recorded_as_if_it_was_asked_for_alone(
    greet, draft, oscar
):
    batch = draft(greet, "name,times\nAda,2\nBö,1\n")

    services.start_batch(actor=oscar.actor, batch=batch)

    assert batch.rows.count() == 2
    for row in batch.rows.all():
        run = row.execution
        assert (row.status, run.status, run.door) == (RowStatus.SENT, Status.QUEUED, "batch")
        assert list(run.inputs.items()) == list(row.inputs.items())
        assert run.inputs_digest == digest_of(row.inputs)
        assert (run.skill, run.version, run.requested_by) == (greet, batch.version, oscar.account)
        assert (run.request_id, run.mode, run.retry_of) == (batch.request_id, "auto", None)
        event = AuditEvent.objects.get(
            target_id=str(run.pk), code="executions.execution.request", outcome="done"
        )
        assert (event.target_type, event.target_label) == ("executions.execution", str(run))
        assert (event.actor_name, event.door) == ("oscar", "batch")
        assert event.details["batch"]["id"] == str(batch.pk)


def test_a_high_risk_batch_is_confirmed_and_approved_once_as_a_whole(draft, oscar, anna, work):
    skill = make_skill(manifest=FOUR_EYES, inputs=NAME)
    batch = services.start_batch(actor=oscar.actor, batch=draft(skill, table_of(3)))
    assert batch.status == BatchStatus.AWAITING_CONFIRMATION

    with pytest.raises(Conflict):
        services.approve_batch(actor=anna.actor, batch=batch)
    batch = services.confirm_batch(actor=oscar.actor, batch=batch)
    assert batch.status == BatchStatus.AWAITING_APPROVAL
    assert not Execution.objects.exists()
    batch = services.approve_batch(actor=anna.actor, batch=batch)

    assert batch.status == BatchStatus.RUNNING
    who = Execution.objects.values_list("confirmed_by__username", "approved_by__username", "status")
    assert set(who) == {("oscar", "anna", "queued")}


def test_nobody_approves_an_own_batch(draft, oscar, person):
    skill = make_skill(
        manifest='approval = "four_eyes"\n',
        inputs=NAME,
    )
    batch = services.start_batch(actor=oscar.actor, batch=draft(skill, table_of(1)))
    SkillGrant.objects.create(skill=skill, account=oscar.account, right="approve")

    with pytest.raises(NotPermitted):
        services.approve_batch(actor=oscar.actor, batch=batch)


def test_rows_are_never_released_without_the_decisions_the_skill_demands(draft, oscar):
    skill = make_skill(manifest=FOUR_EYES, inputs=NAME)
    batch = draft(skill, table_of(2))
    Batch.objects.filter(pk=batch.pk).update(status=BatchStatus.RUNNING)  # As no service would.

    with pytest.raises(NotPermitted):
        lifecycle.go_on(batch.pk)

    assert not Execution.objects.exists()


def test_a_rejected_batch_says_why_and_never_runs(draft, oscar, anna):
    skill = make_skill(
        manifest='approval = "four_eyes"\n',
        inputs=NAME,
    )
    batch = services.start_batch(actor=oscar.actor, batch=draft(skill, table_of(2)))

    rejected = services.reject_batch(actor=anna.actor, batch=batch, reason=" Too many. ")

    assert (rejected.status, rejected.rejection) == (BatchStatus.REJECTED, "Too many.")
    assert (rejected.cancelled_rows, rejected.waiting_rows) == (2, 0)


def test_a_paused_batch_hands_over_nothing_until_it_is_resumed(greet, draft, oscar, work):
    batch = services.start_batch(actor=oscar.actor, batch=draft(greet, table_of(9)))
    services.pause_batch(actor=oscar.actor, batch=batch)

    done = work(batch)
    assert done.done == dispatch.FIRST_WINDOW
    assert done.batch.status == BatchStatus.PAUSED

    services.resume_batch(actor=oscar.actor, batch=batch)
    assert work(batch).batch.status == BatchStatus.FINISHED
    assert batch.succeeded_rows == 9


def test_a_batch_paused_at_its_last_rows_ends_with_them(greet, draft, oscar, work):
    batch = services.start_batch(actor=oscar.actor, batch=draft(greet, table_of(3)))
    services.pause_batch(actor=oscar.actor, batch=batch)

    assert work(batch).batch.status == BatchStatus.FINISHED


def test_cancelling_drops_what_waits_and_stops_what_runs(
    greet, draft, oscar, work, django_capture_on_commit_callbacks
):
    batch = services.start_batch(actor=oscar.actor, batch=draft(greet, table_of(10)))
    work(batch, most=3)
    running = Execution.objects.filter(status=Status.QUEUED).first()
    running = executions.claim_execution(actor=Actor.system("worker"), execution_id=running.pk)

    batch = services.cancel_batch(actor=oscar.actor, batch=batch)

    assert batch.status == BatchStatus.CANCELLING
    assert (batch.sent_rows, batch.succeeded_rows, batch.cancelled_rows) == (1, 3, 6)
    running.refresh_from_db()
    assert running.cancel_requested_at is not None
    with django_capture_on_commit_callbacks(execute=True):
        finish(running, Status.CANCELLED)
    batch.refresh_from_db()
    assert batch.status == BatchStatus.CANCELLED
    with pytest.raises(Conflict):
        services.cancel_batch(actor=oscar.actor, batch=batch)


def test_only_failed_rows_run_again(greet, draft, oscar, work):
    batch = services.start_batch(actor=oscar.actor, batch=draft(greet, table_of(4)))
    work(batch, outcomes=[Status.SUCCEEDED, Status.FAILED])
    first = batch.rows.get(number=3).execution

    services.retry_batch(actor=oscar.actor, batch=batch)
    done = work(batch)

    assert done.done == 1
    assert (done.batch.succeeded_rows, done.batch.failed_rows) == (4, 0)
    assert batch.rows.get(number=3).execution.retry_of == first


def test_a_retry_asks_for_the_decisions_again(draft, oscar, anna, work):
    skill = make_skill(manifest=FOUR_EYES, inputs=NAME)
    batch = services.start_batch(actor=oscar.actor, batch=draft(skill, table_of(2)))
    services.confirm_batch(actor=oscar.actor, batch=batch)
    services.approve_batch(actor=anna.actor, batch=batch)
    work(batch, outcomes=[Status.FAILED])

    again = services.retry_batch(actor=oscar.actor, batch=batch)

    assert again.status == BatchStatus.AWAITING_CONFIRMATION
    assert (again.confirmed_by, again.approved_by, again.waiting_rows) == (None, None, 1)


def test_nobody_runs_rows_in_the_name_of_another(greet, draft, oscar, person):
    batch = draft(greet, table_of(1))

    with pytest.raises(NotPermitted):
        services.start_batch(actor=person("olivia").actor, batch=batch)


def test_another_version_of_the_skill_ends_the_draft(greet, draft, oscar):
    batch = draft(greet, table_of(1))
    make_skill(code="def main(name: str) -> str:\n    return name\n")

    with pytest.raises(Conflict, match="Another version"):
        services.start_batch(actor=oscar.actor, batch=batch)


@pytest.mark.parametrize("act", ["confirm", "approve", "resume"])
def test_a_page_from_before_another_version_lets_nothing_go_on(draft, oscar, anna, act):
    skill = make_skill(manifest=FOUR_EYES if act != "resume" else "", inputs=NAME)
    batch = services.start_batch(actor=oscar.actor, batch=draft(skill, table_of(9)))
    if act == "approve":
        services.confirm_batch(actor=oscar.actor, batch=batch)
    if act == "resume":
        services.pause_batch(actor=oscar.actor, batch=batch)
    before = Batch.objects.get(pk=batch.pk).status
    make_skill(code="def main(name: str) -> str:\n    return name\n")

    actor = anna.actor if act == "approve" else oscar.actor
    with pytest.raises(Conflict, match="Another version"):
        getattr(services, f"{act}_batch")(actor=actor, batch=batch)

    assert Batch.objects.get(pk=batch.pk).status == before


def test_a_batch_is_held_when_its_skill_is_disabled(greet, draft, oscar, work):
    batch = services.start_batch(actor=oscar.actor, batch=draft(greet, table_of(9)))
    Skill.objects.filter(pk=greet.pk).update(is_enabled=False)

    done = work(batch)

    assert done.batch.status == BatchStatus.PAUSED
    assert "disabled" in done.batch.held_because
    assert done.done == 0, "not even those that were queued"
    assert done.batch.cancelled_rows == dispatch.FIRST_WINDOW


def test_an_execution_cancelled_by_itself_is_counted(
    greet, draft, oscar, django_capture_on_commit_callbacks
):
    from skills.executions.services import cancel_execution

    batch = services.start_batch(actor=oscar.actor, batch=draft(greet, table_of(1)))
    with django_capture_on_commit_callbacks(execute=True):
        cancel_execution(actor=oscar.actor, execution=Execution.objects.get())

    batch.refresh_from_db()
    assert (batch.status, batch.cancelled_rows) == (BatchStatus.FINISHED, 1)


def test_the_scan_makes_up_for_what_was_not_counted(greet, draft, oscar, work):
    batch = services.start_batch(actor=oscar.actor, batch=draft(greet, table_of(7)))
    for execution in Execution.objects.all():  # Their ends are told to nobody.
        finish(
            executions.claim_execution(actor=Actor.system("worker"), execution_id=execution.pk),
            Status.SUCCEEDED,
        )

    lifecycle.scan_batches(timezone.now(), is_open=True)
    batch.refresh_from_db()
    assert (batch.succeeded_rows, batch.sent_rows) == (dispatch.FIRST_WINDOW, 3)

    lifecycle.scan_batches(timezone.now(), is_open=True)
    batch.refresh_from_db()
    assert (batch.succeeded_rows, batch.sent_rows) == (dispatch.FIRST_WINDOW, 3)


@pytest.mark.parametrize(("age", "status"), [(23, "awaiting_confirmation"), (25, "expired")])
def test_a_batch_nobody_decides_about_expires(draft, oscar, age, status):
    skill = make_skill(
        manifest='risk = "high"\nconfirm = true\n',
        inputs=NAME,
    )
    batch = services.start_batch(actor=oscar.actor, batch=draft(skill, table_of(2)))

    lifecycle.scan_batches(timezone.now() + timedelta(hours=age), is_open=True)

    batch.refresh_from_db()
    assert batch.status == status


def test_many_files_become_one_run_each(oscar, upload):
    skill = make_skill(
        code="def main(table, factor):\n    return 1\n",
        manifest='risk = "low"\n',
        inputs=f'{TABLE}[inputs.factor]\ntype = "integer"\n',
    )
    files = [upload(f"{number}.csv", f"a;{number}") for number in range(3)]

    batch = services.create_batch(actor=oscar.actor, skill=skill, files=files, inputs={"factor": 2})

    assert (batch.name, batch.total_rows, batch.invalid_rows) == ("3 files", 3, 0)
    assert [row.inputs for row in batch.rows.all()] == [
        {"factor": 2, "table": str(file.pk)} for file in files
    ]


def test_many_files_need_exactly_one_file_input(greet, oscar, upload):
    with pytest.raises(InvalidInput, match="exactly one file input"):
        services.create_batch(actor=oscar.actor, skill=greet, files=[upload("a.csv", "a")])


def test_a_row_whose_file_has_expired_is_left_out_and_the_others_keep_theirs(oscar, upload, work):
    skill = make_skill(
        code="def main(table):\n    return 1\n", manifest='risk = "low"\n', inputs=TABLE
    )
    files = [upload(f"{number}.csv", f"a;{number}") for number in range(3)]
    batch = services.create_batch(actor=oscar.actor, skill=skill, files=files)
    StoredFile.objects.filter(pk=files[1].pk).update(content=None, removed_at=timezone.now())

    services.start_batch(actor=oscar.actor, batch=batch)
    done = work(batch)

    assert (done.batch.status, done.batch.succeeded_rows) == (BatchStatus.FINISHED, 2)
    assert batch.rows.get(status=RowStatus.INVALID).errors == {"row": lifecycle.FILE_EXPIRED}
    assert set(InputUse.objects.values_list("file_id", flat=True)) == {files[0].pk, files[2].pk}


def test_files_of_others_cannot_be_used(oscar, person, draft):
    from io import BytesIO

    from skills.executions.services import upload_file

    skill = make_skill(
        code="def main(table):\n    return 1\n",
        manifest='risk = "low"\n',
        inputs=TABLE,
    )
    foreign = upload_file(actor=person("dana").actor, name="a.csv", content=BytesIO(b"a"))

    batch = draft(skill, f"table\n{foreign.pk}\nnonsense\n")

    assert batch.invalid_rows == 2


def test_the_same_key_makes_one_batch(greet, draft, oscar, upload):
    source = upload("people.csv", table_of(2))
    given = {"actor": oscar.actor, "skill": greet, "source": source, "idempotency_key": "once"}

    assert services.create_batch(**given) == services.create_batch(**given)
    assert Batch.objects.count() == 1


@pytest.mark.parametrize("other", ["files", "order", "inputs"])
def test_the_same_key_for_something_else_is_refused(oscar, upload, other):
    skill = make_skill(
        code="def main(table, note):\n    return 1\n",
        manifest='risk = "low"\n',
        inputs=f'{TABLE}[inputs.note]\ntype = "string"\ndefault = ""\n',
    )
    files = [upload(f"{name}.csv", f"name\n{name}\n") for name in "abc"]
    given = {"actor": oscar.actor, "skill": skill, "idempotency_key": "once"}
    services.create_batch(files=files[:2], inputs={"note": "x"}, **given)

    asked = {
        "files": {"files": files[1:], "inputs": {"note": "x"}},
        "order": {"files": files[1::-1], "inputs": {"note": "x"}},
        "inputs": {"files": files[:2], "inputs": {"note": "y"}},
    }[other]
    with pytest.raises(Conflict, match="another request"):
        services.create_batch(**asked, **given)


def test_who_may_not_run_the_skill_makes_no_batch(greet, person, upload):
    with pytest.raises(NotPermitted):
        services.create_batch(
            actor=person("victor").actor, skill=greet, source=upload("a.csv", "name\nAda\n")
        )


def test_a_skill_that_is_not_open_for_manual_runs_is_not_open_for_batches(draft):
    skill = make_skill(manifest="manual = false\n", inputs=NAME)

    with pytest.raises(NotPermitted):
        draft(skill, table_of(1))


def test_who_ends_a_run_while_another_thread_counts_leaves_it_to_that_one(
    greet, draft, oscar, acme, monkeypatch
):
    batch = services.start_batch(actor=oscar.actor, batch=draft(greet, table_of(2)))
    first, second = Execution.objects.order_by("batch_row__number")
    for execution in (first, second):
        claimed = executions.claim_execution(
            actor=Actor.system("worker"), execution_id=execution.pk
        )
        finish(claimed, Status.SUCCEEDED)
    count, counted = lifecycle.count_ended, []

    def count_slowly(ids):
        counted.append(list(ids))
        if len(counted) == 1:
            lifecycle.rows_ended([second.pk])  # As another thread would, at this moment.
            assert len(counted) == 1
        return count(ids)

    monkeypatch.setattr(lifecycle, "count_ended", count_slowly)
    lifecycle.rows_ended([first.pk])

    batch.refresh_from_db()
    assert counted == [[first.pk], [second.pk]]
    assert (batch.status, batch.succeeded_rows) == (BatchStatus.FINISHED, 2)
