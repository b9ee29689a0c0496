"""A batch is let run as a whole; still every row of it is checked when a worker takes it."""

from __future__ import annotations

import io

import pytest

from execfabric.core.errors import NotPermitted
from skills.batches import services as batches
from skills.batches.states import BatchStatus
from skills.executions.approvals.inbox import inbox_of
from skills.executions.approvals.models import RunGrant
from skills.executions.models import Execution
from skills.executions.services import upload_file
from skills.executions.states import Status
from tests.factories.skills import GREET, make_skill

from .cast import put_in_force, skill_of, worker_starts

pytestmark = pytest.mark.usefixtures("acme")
ROWS = b"name,times\nAda,1\nBob,2\n"


@pytest.fixture
def oscar(person):
    return person("oscar").actor


@pytest.fixture
def olivia(person):
    return person("olivia").actor


def started(oscar, skill):
    table = upload_file(actor=oscar, name="people.csv", content=io.BytesIO(ROWS))
    batch = batches.create_batch(actor=oscar, skill=skill, source=table)
    return batches.start_batch(actor=oscar, batch=batch)


@pytest.fixture
def confirmed(oscar):
    """The two rows of a batch of high risk, confirmed as a whole and handed over."""
    batch = batches.confirm_batch(actor=oscar, batch=started(oscar, skill_of("high")))
    assert batch.status == BatchStatus.RUNNING
    return list(Execution.objects.order_by("pk"))


def test_nothing_of_it_exists_before_it_is_confirmed(oscar):
    batch = started(oscar, skill_of("high"))

    assert batch.status == BatchStatus.AWAITING_CONFIRMATION
    assert not Execution.objects.exists()
    assert [(one.kind, one.act) for one in inbox_of(oscar)] == [("batch", "confirm")]


def test_each_row_has_a_grant_of_its_own_and_starts_by_it(confirmed):
    assert len({one.grant.inputs_digest for one in confirmed}) == 2

    assert [worker_starts(one) for one in confirmed] == [True, True]
    assert not RunGrant.objects.filter(used_at=None).exists()


def test_a_row_that_was_queued_past_the_people_does_not_start(confirmed):
    RunGrant.objects.all().delete()

    assert [worker_starts(one) for one in confirmed] == [False, False]
    assert {one.status for one in confirmed} == {Status.REJECTED}


@pytest.mark.parametrize("what", ["tightened", "another version", "disabled"])
def test_rows_do_not_start_once_what_was_let_run_holds_no_more(confirmed, olivia, what):
    if what == "tightened":
        put_in_force(olivia, high=(True, 1))
    elif what == "disabled":
        confirmed[0].skill.is_enabled = False
        confirmed[0].skill.save()
    else:
        make_skill(code=GREET + "# another\n", manifest='risk = "high"\n')

    for one in confirmed:
        assert not worker_starts(Execution.objects.get(pk=one.pk))


def test_plain_rows_need_nobody_and_rules_hold_for_them_too(oscar, olivia):
    started(oscar, skill_of("medium"))
    first, second = Execution.objects.order_by("pk")
    assert worker_starts(first)

    put_in_force(olivia, medium=(True, 0))

    assert not worker_starts(second)


def test_a_batch_that_needs_several_approvals_is_refused(oscar, olivia):
    put_in_force(olivia, high=(True, 2))

    with pytest.raises(NotPermitted, match="2 approvals"):
        started(oscar, skill_of("high"))
    assert not Execution.objects.exists()


@pytest.mark.parametrize(("risk", "approval"), [("odd", "none"), ("low", "odd")])
def test_a_batch_of_what_is_not_known_is_refused(oscar, risk, approval):
    with pytest.raises(NotPermitted, match="No rule is known"):
        started(oscar, skill_of(risk, approval=approval))


def test_a_batch_is_held_when_the_rules_become_stricter_on_its_way(
    oscar, olivia, monkeypatch, django_capture_on_commit_callbacks
):
    from skills.batches import dispatch, lifecycle

    monkeypatch.setattr(dispatch, "FIRST_WINDOW", 1)
    batch = started(oscar, skill_of("medium"))
    put_in_force(olivia, medium=(True, 0))

    with django_capture_on_commit_callbacks(execute=True):
        assert not worker_starts(Execution.objects.get())
    lifecycle.go_on(batch.pk)

    batch.refresh_from_db()
    assert batch.status == BatchStatus.PAUSED
    assert "confirmed" in batch.held_because
    assert Execution.objects.count() == 1
