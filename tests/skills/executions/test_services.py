"""Asking for executions: what is let through, what waits, what is refused."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput, InvalidTransition, NotPermitted
from execfabric.core.models import AuditEvent, Outcome
from skills.catalogue.models import Right, SkillGrant
from skills.executions import lifecycle, services
from skills.executions.models import Execution
from skills.executions.selectors import executions_visible_to
from skills.executions.states import EXECUTION_TRANSITIONS, FINAL, Status
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
FILE_INPUT = '[inputs.orders]\ntype = "string"\nformat = "file"\n'
READ_FILE = (
    "from pathlib import Path\ndef main(orders: Path) -> int:\n    return len(orders.read_text())\n"
)


@pytest.fixture
def oscar(person):
    return person("oscar").actor


def request(actor, skill, **arguments):
    arguments.setdefault("inputs", {})
    return services.request_execution(actor=actor, skill=skill, **arguments)


def test_a_low_risk_skill_is_queued_with_defaults_filled_in(oscar):
    execution = request(oscar, make_skill(), inputs={"name": "Ada"})

    assert execution.status == Status.QUEUED
    assert execution.inputs == {"name": "Ada", "times": 1}
    event = AuditEvent.objects.get(code="executions.execution.request")
    assert event.target_id == str(execution.pk)
    assert "Ada" not in str(event.details), "what a user typed stands on the execution only"
    assert event.details["inputs"] == ["name"]


@pytest.mark.parametrize(
    ("inputs", "field"),
    [({"times": "many"}, "times"), ({"nmae": "Ada"}, "nmae"), ({"name": 7}, "name")],
)
def test_inputs_that_do_not_fit_are_named_and_nothing_is_stored(oscar, inputs, field):
    with pytest.raises(InvalidInput) as refusal:
        request(oscar, make_skill(), inputs=inputs)

    assert list(refusal.value.fields) == [field]
    assert not Execution.objects.exists()


def test_who_holds_no_grant_may_not_run_it(oscar):
    skill = make_skill()
    SkillGrant.objects.filter(skill=skill, role="operator").delete()

    with pytest.raises(NotPermitted):
        request(oscar, skill)

    event = AuditEvent.objects.get(code="executions.execution.request")
    assert event.outcome == Outcome.REFUSED


def test_a_grant_to_one_account_is_enough(oscar):
    skill = make_skill()
    SkillGrant.objects.filter(skill=skill, role="operator").delete()
    SkillGrant.objects.create(skill=skill, account_id=oscar.user_id, right=Right.RUN)

    assert request(oscar, skill).status == Status.QUEUED


@pytest.mark.parametrize("username", ["victor", "anna"])
def test_viewers_and_approvers_run_nothing(person, username):
    with pytest.raises(NotPermitted):
        request(person(username).actor, make_skill())


def test_a_skill_not_open_for_manual_execution_is_refused(oscar):
    with pytest.raises(NotPermitted, match="manual"):
        request(oscar, make_skill(manifest="manual = false"))


def test_a_version_that_is_not_in_use_is_a_conflict(oscar):
    with pytest.raises(Conflict):
        request(oscar, make_skill(), version_number=9)


class TestConfirmation:
    @pytest.mark.parametrize("manifest", ['risk = "high"', "confirm = true"])
    def test_it_waits_until_somebody_confirms(self, oscar, manifest):
        execution = request(oscar, make_skill(manifest=manifest))
        assert execution.status == Status.AWAITING_CONFIRMATION

        confirmed = services.confirm_execution(actor=oscar, execution=execution)

        assert (confirmed.status, confirmed.confirmed_by_id) == (Status.QUEUED, oscar.user_id)

    def test_high_risk_cannot_be_declared_free_of_confirmation(self, oscar):
        skill = make_skill(manifest='risk = "high"\nconfirm = false')

        assert request(oscar, skill).status == Status.AWAITING_CONFIRMATION

    def test_a_worker_cannot_claim_what_nobody_confirmed(self, oscar):
        execution = request(oscar, make_skill(manifest="confirm = true"))

        with pytest.raises(InvalidTransition):
            lifecycle.claim_execution(actor=Actor.system("worker"), execution_id=execution.pk)

    def test_confirming_twice_is_a_conflict(self, oscar):
        execution = request(oscar, make_skill(manifest="confirm = true"))
        confirmed = services.confirm_execution(actor=oscar, execution=execution)

        with pytest.raises(Conflict):
            services.confirm_execution(actor=oscar, execution=confirmed)
        with pytest.raises(InvalidTransition):
            services.confirm_execution(actor=oscar, execution=execution)

    def test_somebody_else_s_request_cannot_be_confirmed(self, oscar, person):
        execution = request(oscar, make_skill(manifest="confirm = true"))

        with pytest.raises(NotPermitted):
            services.confirm_execution(actor=person("dana").actor, execution=execution)


class TestFourEyes:
    @pytest.fixture
    def waiting(self, oscar):
        return request(oscar, make_skill(manifest='approval = "four_eyes"'))

    def test_another_person_approves(self, waiting, person):
        anna = person("anna").actor
        assert waiting in executions_visible_to(anna)

        approved = services.approve_execution(actor=anna, execution=waiting)

        assert (approved.status, approved.approved_by_id) == (Status.QUEUED, anna.user_id)

    def test_the_requester_never_does_not_even_the_owner(self, person):
        olivia = person("olivia").actor
        waiting = request(olivia, make_skill(manifest='approval = "four_eyes"'))

        with pytest.raises(NotPermitted):
            services.approve_execution(actor=olivia, execution=waiting)

    def test_confirmation_comes_first_and_does_not_replace_it(self, oscar):
        both = make_skill(manifest='approval = "four_eyes"\nconfirm = true')
        execution = request(oscar, both)

        confirmed = services.confirm_execution(actor=oscar, execution=execution)

        assert confirmed.status == Status.AWAITING_APPROVAL

    def test_a_rejection_needs_a_reason_and_is_final(self, waiting, person):
        anna = person("anna").actor
        with pytest.raises(InvalidInput):
            services.reject_execution(actor=anna, execution=waiting, reason="  ")

        rejected = services.reject_execution(actor=anna, execution=waiting, reason="Wrong month")

        assert (rejected.status, rejected.rejection) == (Status.REJECTED, "Wrong month")
        with pytest.raises(Conflict):
            services.approve_execution(actor=anna, execution=rejected)


class TestIdempotency:
    def test_the_same_key_returns_the_first_execution(self, oscar):
        skill = make_skill()

        first = request(oscar, skill, idempotency_key="k1")
        again = request(oscar, skill, idempotency_key="k1")

        assert again.pk == first.pk
        assert Execution.objects.count() == 1

    def test_the_same_key_for_other_inputs_is_a_conflict(self, oscar):
        skill = make_skill()
        request(oscar, skill, idempotency_key="k1")

        with pytest.raises(Conflict):
            request(oscar, skill, inputs={"name": "Eve"}, idempotency_key="k1")

    def test_two_people_may_use_the_same_key(self, oscar, person):
        skill = make_skill()

        mine = request(oscar, skill, idempotency_key="k1")
        other = request(person("dana").actor, skill, idempotency_key="k1")

        assert mine.pk != other.pk


class TestFiles:
    def upload(self, actor, content=b"a,b\n1,2\n", name="orders.csv"):
        return services.upload_file(actor=actor, name=name, content=io.BytesIO(content))

    @pytest.fixture
    def skill(self):
        return make_skill("count", READ_FILE, inputs=FILE_INPUT)

    def test_an_own_upload_is_an_input(self, oscar, skill):
        file = self.upload(oscar)

        execution = request(oscar, skill, inputs={"orders": str(file.pk)})

        assert execution.status == Status.QUEUED

    @pytest.mark.parametrize(
        "value", ["orders.csv", "/etc/passwd", "0198c0de-0000-7000-8000-000000000000"]
    )
    def test_anything_else_is_refused(self, oscar, skill, value):
        with pytest.raises(InvalidInput) as refusal:
            request(oscar, skill, inputs={"orders": value})

        assert "orders" in refusal.value.fields

    def test_somebody_else_s_upload_is_refused(self, oscar, person, skill):
        file = self.upload(person("dana").actor)

        with pytest.raises(InvalidInput):
            request(oscar, skill, inputs={"orders": str(file.pk)})

    def test_only_the_last_part_of_the_name_is_kept(self, oscar):
        assert self.upload(oscar, name="..\\..\\evil.csv").name == "evil.csv"
        assert self.upload(oscar, name="/etc/Größe \N{SNOWMAN}.csv").name == "Größe \N{SNOWMAN}.csv"

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("../..", "Give the file a name"),
            ("evil\x00.csv", "cannot be shown"),
            ("a\nb.csv", "cannot be shown"),
            ("gpj.\N{RIGHT-TO-LEFT OVERRIDE}exe", "cannot be shown"),
            ("half\ud800.csv", "cannot be shown"),
            ("x" * 256, "255 bytes"),
        ],
    )
    def test_an_odd_name_is_refused_with_its_reason(self, oscar, name, why):
        with pytest.raises(InvalidInput, match=why):
            self.upload(oscar, name=name)

    def test_the_same_content_is_stored_once(self, oscar, person):
        assert self.upload(oscar).stored_as == self.upload(person("dana").actor).stored_as


class TestCancelAndRetry:
    def test_a_queued_one_ends_at_once(self, oscar):
        execution = request(oscar, make_skill())

        cancelled = services.cancel_execution(actor=oscar, execution=execution)

        assert cancelled.status == Status.CANCELLED
        with pytest.raises(Conflict):
            services.cancel_execution(actor=oscar, execution=cancelled)

    def test_a_running_one_is_asked_to_stop(self, oscar):
        execution = request(oscar, make_skill())
        claimed = lifecycle.claim_execution(actor=Actor.system("worker"), execution_id=execution.pk)

        services.cancel_execution(actor=oscar, execution=claimed)

        assert lifecycle.renew_lease(claimed) is False

    def test_a_colleague_cannot_cancel_it_but_an_owner_can(self, oscar, person):
        execution = request(oscar, make_skill())

        with pytest.raises(NotPermitted):
            services.cancel_execution(actor=person("dana").actor, execution=execution)
        assert services.cancel_execution(actor=person("olivia").actor, execution=execution)

    def test_retrying_asks_for_confirmation_again(self, oscar):
        execution = request(oscar, make_skill(manifest="confirm = true"))
        cancelled = services.cancel_execution(actor=oscar, execution=execution)

        again = services.retry_execution(actor=oscar, execution=cancelled)

        assert (again.status, again.retry_of_id) == (Status.AWAITING_CONFIRMATION, cancelled.pk)

    def test_secrets_of_somebody_else_are_not_used_again_unseen(self, oscar, person):
        skill = make_skill(
            "with-key",
            "def main(api_key, who='you'):\n    return 1\n",
            inputs='[inputs.api_key]\ntype = "string"\n[inputs.who]\ntype = "string"\n',
        )
        ended = services.cancel_execution(
            actor=oscar,
            execution=services.request_execution(
                actor=oscar, skill=skill, inputs={"api_key": "hunter2", "who": "Ada"}
            ),
        )
        olivia = person("olivia")

        with pytest.raises(NotPermitted, match=r"secret inputs of this run \(api_key\)"):
            services.retry_execution(actor=olivia.actor, execution=ended)
        refused = olivia.api.post(f"/api/v1/executions/{ended.pk}/retry")
        assert (refused.status_code, Execution.objects.count()) == (403, 1)
        page = olivia.browser.get(f"/executions/{ended.pk}/").text
        assert f"/executions/{ended.pk}/retry/" not in page
        assert f"?from={ended.pk}" in page

        assert services.retry_execution(actor=oscar, execution=ended).inputs["api_key"] == "hunter2"

    def test_what_goes_on_cannot_be_retried(self, oscar):
        with pytest.raises(Conflict):
            services.retry_execution(actor=oscar, execution=request(oscar, make_skill()))


def test_people_see_their_own_executions_and_managers_all(oscar, person):
    execution = request(oscar, make_skill())

    assert execution in executions_visible_to(oscar)
    assert execution in executions_visible_to(person("olivia").actor)
    assert execution not in executions_visible_to(person("dana").actor)
    assert execution not in executions_visible_to(person("anna").actor)


def test_no_move_leads_out_of_a_final_state():
    assert {EXECUTION_TRANSITIONS[status] for status in FINAL} == {frozenset()}
    assert set(EXECUTION_TRANSITIONS) == set(Status)


def test_the_database_itself_wants_a_lease_iff_running(oscar):
    from django.db import IntegrityError, transaction

    execution = request(oscar, make_skill())
    with pytest.raises(IntegrityError), transaction.atomic():
        Execution.objects.filter(pk=execution.pk).update(status=Status.RUNNING)
    with pytest.raises(IntegrityError), transaction.atomic():
        Execution.objects.filter(pk=execution.pk).update(finished_at=timezone.now())


class TestOnlyWhatIsInUseRuns:
    def test_an_older_version_is_no_way_around_a_stricter_one(self, oscar):
        make_skill()
        stricter = make_skill(manifest='risk = "high"')
        assert stricter.version.number == 2

        with pytest.raises(Conflict, match="in use"):
            request(oscar, stricter, version_number=1)
        execution = request(oscar, stricter, version_number=2)
        assert execution.status == Status.AWAITING_CONFIRMATION

    def test_a_disabled_skill_is_neither_asked_for_nor_confirmed_nor_retried(self, oscar):
        skill = make_skill(manifest="confirm = true")
        waiting = request(oscar, skill)
        ended = services.cancel_execution(actor=oscar, execution=request(oscar, skill))
        skill.is_enabled = False
        skill.save()

        for service, execution in (
            (services.confirm_execution, waiting),
            (services.retry_execution, ended),
        ):
            execution = Execution.objects.get(pk=execution.pk)
            with pytest.raises(NotPermitted):
                service(actor=oscar, execution=execution)
        with pytest.raises(NotPermitted):
            request(oscar, skill)

    def test_a_disabled_skill_is_not_approved(self, oscar, person):
        skill = make_skill(manifest='approval = "four_eyes"')
        waiting = request(oscar, skill)
        skill.is_enabled = False
        skill.save()

        with pytest.raises(NotPermitted):
            services.approve_execution(
                actor=person("anna").actor, execution=Execution.objects.get(pk=waiting.pk)
            )

    def test_a_request_that_is_too_old_is_not_confirmed_even_before_a_scan(self, oscar):
        long_ago = timezone.now() - timedelta(days=30)
        waiting = request(oscar, make_skill(manifest="confirm = true"), requested_at=long_ago)

        with pytest.raises(Conflict, match="too old"):
            services.confirm_execution(actor=oscar, execution=waiting)

    @pytest.mark.parametrize("change", [{"inputs": {"name": "Eve"}}, {"inputs_digest": "0" * 64}])
    def test_the_database_lets_nobody_change_what_was_asked_for(self, oscar, change):
        from django.db import DatabaseError, transaction

        execution = request(oscar, make_skill(manifest="confirm = true"))

        with pytest.raises(DatabaseError), transaction.atomic():
            Execution.objects.filter(pk=execution.pk).update(**change)

    def test_who_rejected_keeps_sight_of_it(self, oscar, person):
        anna = person("anna").actor
        waiting = request(oscar, make_skill(manifest='approval = "four_eyes"'))

        rejected = services.reject_execution(actor=anna, execution=waiting, reason="No")

        assert rejected.rejected_by_id == anna.user_id
        assert rejected in executions_visible_to(anna)
