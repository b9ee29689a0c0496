"""A batch is let run as a whole; still every row of it is checked when a worker takes it."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from execfabric.core.errors import Conflict, NotPermitted
from skills.batches import lifecycle
from skills.batches import services as batches
from skills.batches.models import Batch, BatchApproval
from skills.batches.states import BatchStatus
from skills.catalogue.models import SkillGrant
from skills.executions import services
from skills.executions.approvals.inbox import inbox_of
from skills.executions.approvals.models import Delegation, RunGrant
from skills.executions.approvals.rules import rules_in_force
from skills.executions.approvals.services import set_rules
from skills.executions.models import Execution
from skills.executions.services import upload_file
from skills.executions.states import Status
from tenants.accounts.models import RoleAssignment
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


@pytest.fixture
def anna(person):
    return person("anna").actor


@pytest.fixture
def lend():
    """Let somebody approve in the name of another for the next hour."""

    def make(delegator, to):
        now = timezone.now()
        return Delegation.objects.create(
            delegator_id=delegator.user_id, to_account=to, starts_at=now,
            ends_at=now + timedelta(hours=1),
        )  # fmt: skip

    return make


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


def test_nobody_confirms_what_somebody_else_asked_for(oscar, olivia):
    batch = started(oscar, skill_of("high"))

    with pytest.raises(NotPermitted):
        batches.confirm_batch(actor=olivia, batch=batch)
    assert not Execution.objects.exists()


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


class TestSeveralApprovals:
    @pytest.fixture
    def batch(self, oscar, olivia):
        """One of high risk that its requester has confirmed; two others must approve it."""
        put_in_force(olivia, high=(True, 2))
        return batches.confirm_batch(actor=oscar, batch=started(oscar, skill_of("high")))

    def test_it_runs_with_the_last_one_and_each_row_carries_all_words(self, batch, olivia, anna):
        first = batches.approve_batch(actor=anna, batch=batch)
        assert first.status == BatchStatus.AWAITING_APPROVAL
        assert not Execution.objects.exists()
        assert inbox_of(anna) == []

        assert batches.approve_batch(actor=olivia, batch=batch).status == BatchStatus.RUNNING

        rows = list(Execution.objects.order_by("pk"))
        said = {(one.account.username, one.kind) for one in rows[1].consents.all()}
        assert said == {("oscar", "confirm"), ("anna", "approve"), ("olivia", "approve")}
        assert [worker_starts(one) for one in rows] == [True, True]

    def test_each_says_it_once(self, batch, anna):
        batches.approve_batch(actor=anna, batch=batch)

        with pytest.raises(Conflict, match="approved this already"):
            batches.approve_batch(actor=anna, batch=batch)
        assert not Execution.objects.exists()

    def test_one_right_counts_once_whoever_uses_it(self, batch, anna, person, lend):
        dana = person("dana")
        lend(anna, dana.account)
        batches.approve_batch(actor=anna, batch=batch)

        with pytest.raises(Conflict, match="for whom you act"):
            batches.approve_batch(actor=dana.actor, batch=batch)
        assert not Execution.objects.exists()

    def test_a_delegate_sees_it_and_approves_in_the_name_of_another(
        self, batch, anna, olivia, person, lend
    ):
        victor = person("victor")
        with pytest.raises(NotPermitted):
            batches.approve_batch(actor=victor.actor, batch=batch)
        lend(anna, victor.account)
        assert [one.id for one in inbox_of(victor.actor)] == [str(batch.pk)]
        assert victor.browser.get(f"/batches/{batch.pk}/").status_code == 200

        batches.approve_batch(actor=victor.actor, batch=batch)
        batches.approve_batch(actor=olivia, batch=batch)

        lent = Execution.objects.first().consents.get(account=victor.account)
        assert lent.authority_id == anna.user_id

    def test_the_requester_does_not_approve_it_nor_does_anybody_in_their_name(
        self, batch, oscar, anna, person, lend
    ):
        SkillGrant.objects.create(skill=batch.skill, account_id=oscar.user_id, right="approve")
        lend(anna, person("oscar").account)
        lend(oscar, person("victor").account)

        for name in ("oscar", "victor"):
            with pytest.raises(NotPermitted):
                batches.approve_batch(actor=person(name).actor, batch=batch)
        with pytest.raises(IntegrityError), transaction.atomic():
            BatchApproval.objects.create(
                batch=batch, asked_at=batch.asked_at, requester_id=oscar.user_id,
                account_id=oscar.user_id, authority_id=anna.user_id, door="api", at=batch.asked_at,
            )  # fmt: skip

    def test_the_api_says_how_many_are_given(self, batch, anna, person):
        batches.approve_batch(actor=anna, batch=batch)

        found = person("oscar").api.get(f"/api/v1/batches/{batch.pk}").json()

        assert found["approvals"] == {"given": 1, "needed": 2}

    def test_a_retry_is_asked_for_anew(self, batch, anna, olivia, oscar):
        for actor in (anna, olivia):
            batches.approve_batch(actor=actor, batch=batch)
        Batch.objects.filter(pk=batch.pk).update(
            status="finished", finished_at=batch.asked_at, sent_rows=0, failed_rows=2
        )
        batch.rows.update(status="failed")
        again = batches.retry_batch(actor=oscar, batch=Batch.objects.get(pk=batch.pk))
        again = batches.confirm_batch(actor=oscar, batch=again)

        assert batches.approve_batch(actor=anna, batch=again).status == "awaiting_approval"
        assert batches.approve_batch(actor=olivia, batch=again).status == BatchStatus.RUNNING

    def test_what_lay_paused_for_too_long_is_asked_for_anew(
        self, batch, anna, olivia, oscar, monkeypatch
    ):
        from skills.batches import dispatch

        monkeypatch.setattr(dispatch, "FIRST_WINDOW", 1)
        for actor in (anna, olivia):
            batches.approve_batch(actor=actor, batch=batch)
        batches.pause_batch(actor=oscar, batch=batch)
        assert batches.resume_batch(actor=oscar, batch=batch).status == BatchStatus.RUNNING
        batches.pause_batch(actor=oscar, batch=batch)
        long_ago = timezone.now() - timedelta(hours=25)
        Batch.objects.filter(pk=batch.pk).update(asked_at=long_ago, released_at=long_ago)

        with pytest.raises(Conflict, match="still running"):
            batches.resume_batch(actor=oscar, batch=batch)
        services.cancel_execution(actor=oscar, execution=Execution.objects.get())
        lifecycle.count_ended([Execution.objects.get().pk])
        again = batches.resume_batch(actor=oscar, batch=batch)

        assert again.status == BatchStatus.AWAITING_CONFIRMATION
        again = batches.confirm_batch(actor=oscar, batch=again)
        assert batches.approve_batch(actor=anna, batch=again).status == "awaiting_approval"
        assert Execution.objects.count() == 1
        assert batches.approve_batch(actor=olivia, batch=again).status == BatchStatus.RUNNING
        assert worker_starts(Execution.objects.latest("pk"))

    def test_it_is_held_once_who_approved_it_may_not_any_more_and_asked_for_anew(
        self, batch, anna, olivia, oscar, person, monkeypatch
    ):
        from skills.batches import dispatch

        monkeypatch.setattr(dispatch, "FIRST_WINDOW", 1)
        for actor in (anna, olivia):
            batches.approve_batch(actor=actor, batch=batch)
        RoleAssignment.objects.filter(account_id=anna.user_id).delete()

        queued = Execution.objects.get()
        assert not worker_starts(queued)
        lifecycle.count_ended([queued.pk])
        lifecycle.go_on(batch.pk)
        held = Batch.objects.get(pk=batch.pk)
        assert (held.status, held.waiting_rows) == (BatchStatus.PAUSED, 1)
        assert "may not do so any more" in held.held_because
        again = batches.resume_batch(actor=oscar, batch=held)

        assert again.status == BatchStatus.AWAITING_CONFIRMATION
        again = batches.confirm_batch(actor=oscar, batch=again)
        dana = person("dana")
        SkillGrant.objects.create(skill=again.skill, account=dana.account, right="approve")
        assert batches.approve_batch(actor=dana.actor, batch=again).status == "awaiting_approval"
        assert batches.approve_batch(actor=olivia, batch=again).status == BatchStatus.RUNNING
        assert worker_starts(Execution.objects.latest("pk"))

    def test_an_approval_that_counts_no_more_does_not_help_to_start_it(self, batch, anna, olivia):
        batches.approve_batch(actor=anna, batch=batch)
        RoleAssignment.objects.filter(account_id=anna.user_id).delete()

        assert batches.approve_batch(actor=olivia, batch=batch).status == "awaiting_approval"
        assert not Execution.objects.exists()

    def test_a_request_that_is_void_leaves_every_inbox_at_once_and_ends(self, batch, anna, person):
        assert [one.id for one in inbox_of(anna)] == [str(batch.pk)]
        make_skill(code=GREET + "# another\n", manifest='risk = "high"\n')

        assert inbox_of(anna) == []
        page = person("olivia").browser.get(f"/batches/{batch.pk}/").text
        assert "This does not run any more" in page
        assert f"/batches/{batch.pk}/approve/" not in page

        lifecycle.scan_batches(timezone.now(), is_open=True)
        batch.refresh_from_db()
        assert batch.status == BatchStatus.REJECTED
        assert "Another version" in batch.rejection
        assert batch.rows.filter(status="cancelled").count() == 2

    def test_another_version_in_use_voids_the_request(self, batch, anna):
        make_skill(code=GREET + "# another\n", manifest='risk = "high"\n')

        with pytest.raises(Conflict, match="Another version"):
            batches.approve_batch(actor=anna, batch=batch)

    def test_it_waits_no_longer_than_the_rules_say(self, batch, anna, olivia):
        Batch.objects.filter(pk=batch.pk).update(asked_at=timezone.now() - timedelta(hours=2))
        set_rules(actor=olivia, demands=rules_in_force().demands, expires_after_h=1)

        with pytest.raises(Conflict, match="too old"):
            batches.approve_batch(actor=anna, batch=batch)


@pytest.mark.parametrize(("risk", "approval"), [("odd", "none"), ("low", "odd")])
def test_a_batch_of_what_is_not_known_is_refused(oscar, risk, approval):
    with pytest.raises(NotPermitted, match="No rule is known"):
        started(oscar, skill_of(risk, approval=approval))


def test_a_batch_is_held_when_the_rules_become_stricter_on_its_way(
    oscar, olivia, monkeypatch, django_capture_on_commit_callbacks
):
    from skills.batches import dispatch

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
    again = batches.resume_batch(actor=oscar, batch=batch)
    assert again.status == BatchStatus.AWAITING_CONFIRMATION
    assert batches.confirm_batch(actor=oscar, batch=again).status == BatchStatus.RUNNING


class TestWhatIsSeenOfIt:
    SECRET = "hunter2-and-more"
    CODE = "def main(name: str, api_token: str = '', note: str = '') -> dict:\n    return {}\n"

    @pytest.fixture
    def asked(self, oscar):
        """Return the id of a batch that waits for an approval, over these rows."""
        skill = make_skill(code=self.CODE, manifest='approval = "four_eyes"\n')

        def make(rows, **given):
            table = upload_file(actor=oscar, name="people.csv", content=io.BytesIO(rows))
            batch = batches.create_batch(actor=oscar, skill=skill, source=table, **given)
            return batches.start_batch(actor=oscar, batch=batch).pk

        return make

    @pytest.mark.parametrize("who", ["oscar", "anna", "olivia"])
    def test_a_secret_of_a_row_is_shown_to_nobody(self, asked, person, who):
        batch = asked(f"name,api_token\nAda,{self.SECRET}\n".encode())

        for look in (
            person(who).api.get(f"/api/v1/batches/{batch}/rows"),
            person(who).api.get(f"/api/v1/batches/{batch}/result.csv"),
            person(who).browser.get(f"/batches/{batch}/"),
        ):
            seen = b"".join(look) if look.streaming else look.content
            assert b"Ada" in seen
            assert self.SECRET.encode() not in seen

    def test_nor_is_one_that_all_rows_have(self, asked, person):
        batch = asked(b"name\nAda\n", inputs={"api_token": self.SECRET})

        for look in (
            person("anna").api.get(f"/api/v1/batches/{batch}"),
            person("anna").api.get(f"/api/v1/batches/{batch}/rows"),
            person("anna").browser.get(f"/batches/{batch}/"),
        ):
            assert look.status_code == 200
            assert self.SECRET not in look.content.decode()

    def test_the_approver_sees_what_is_the_same_for_all_rows(self, asked, person):
        batch = asked(b"name\nAda\n", inputs={"note": "Pay twice."})

        assert "Pay twice." in person("anna").browser.get(f"/batches/{batch}/").content.decode()
