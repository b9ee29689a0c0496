"""What was let run starts once, and only while everything it was bound to still holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.models import AuditEvent
from skills.catalogue.models import SkillGrant
from skills.executions import lifecycle, services
from skills.executions.approvals.models import Consent, Delegation, RunGrant
from skills.executions.models import Execution
from skills.executions.states import Status
from tenants.accounts.models import Account, Group, GroupMember, RoleAssignment
from tests.factories.skills import GREET, make_skill

from .cast import put_in_force, skill_of, worker_starts

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def oscar(person):
    return person("oscar").actor


@pytest.fixture
def olivia(person):
    return person("olivia").actor


@pytest.fixture
def cleared(oscar):
    """An execution of a high risk that was confirmed, and waits for a worker."""
    execution = services.request_execution(
        actor=oscar, skill=skill_of("high"), inputs={"name": "Ada"}
    )
    services.confirm_execution(actor=oscar, execution=execution)
    return Execution.objects.get(pk=execution.pk)


def forged(execution, **changes):
    """Put another grant in the place of the one there is, bound to something else."""
    grant = execution.grant
    grant.delete()
    for name, value in changes.items():
        setattr(grant, name, value)
    grant.pk = None
    grant.save(force_insert=True)


def new_version(execution, olivia):
    make_skill(code=GREET + "# another\n", manifest='risk = "high"\n')


def disabled(execution, olivia):
    execution.skill.is_enabled = False
    execution.skill.save()


def tightened(execution, olivia):
    put_in_force(olivia, high=(True, 1))


def deactivated(execution, olivia):
    Account.objects.filter(pk=execution.requested_by_id).update(is_active=False)


def role_lost(execution, olivia):
    RoleAssignment.objects.filter(account_id=execution.requested_by_id).delete()


def right_lost(execution, olivia):
    SkillGrant.objects.filter(skill=execution.skill, right="run").delete()


def expired(execution, olivia):
    past = timezone.now() - timedelta(seconds=1)
    forged(execution, issued_at=past, expires_at=past)


def used(execution, olivia):
    RunGrant.objects.filter(execution=execution).update(used_at=timezone.now())


def gone(execution, olivia):
    execution.grant.delete()


def nobody_said_it(execution, olivia):
    Consent.objects.filter(execution=execution).delete()


def of_another_tenant(execution, olivia):
    forged(execution, tenant_schema="tenant_9999")


def of_another_version(execution, olivia):
    forged(execution, version_digest="0" * 64)


def of_other_inputs(execution, olivia):
    forged(execution, inputs_digest="0" * 64)


def of_another_requester(execution, olivia):
    forged(execution, requester_id=olivia.user_id)


#  what happened after it was let run      how it ends       what the requester reads
VOIDED = {
    new_version:          (Status.REJECTED, "Another version"),
    disabled:             (Status.REJECTED, "disabled"),
    tightened:            (Status.REJECTED, "stricter"),
    deactivated:          (Status.REJECTED, "not active"),
    role_lost:            (Status.REJECTED, "may not run"),
    right_lost:           (Status.REJECTED, "may not run"),
    expired:              (Status.EXPIRED,  "in time"),
    used:                 (Status.REJECTED, "used already"),
    gone:                 (Status.REJECTED, "Nobody has let this run"),
    nobody_said_it:       (Status.REJECTED, "stricter"),
    of_another_tenant:    (Status.REJECTED, "not what was let run"),
    of_another_version:   (Status.REJECTED, "not what was let run"),
    of_other_inputs:      (Status.REJECTED, "not what was let run"),
    of_another_requester: (Status.REJECTED, "not what was let run"),
}  # fmt: skip


@pytest.mark.parametrize("happened", VOIDED, ids=lambda each: each.__name__)
def test_it_does_not_start_and_says_why(happened, cleared, olivia):
    ends_as, reason = VOIDED[happened]

    happened(cleared, olivia)

    assert not worker_starts(cleared)
    assert cleared.status == ends_as
    assert reason in cleared.summary
    assert AuditEvent.objects.get(code="executions.execution.refuse").target_id == str(cleared.pk)


def test_with_nothing_changed_it_starts_once_and_the_grant_is_used_up(cleared):
    assert worker_starts(cleared)
    assert cleared.grant.used_at is not None
    assert cleared.status == Status.RUNNING


@pytest.fixture
def approved(oscar, person):
    """An execution that somebody else approved, and that waits for a worker."""
    execution = services.request_execution(
        actor=oscar, skill=skill_of("low", approval="four_eyes"), inputs={}
    )
    services.approve_execution(actor=person("anna").actor, execution=execution)
    return Execution.objects.get(pk=execution.pk)


def approver_deactivated():
    Account.objects.filter(username="anna").update(is_active=False)


def approver_lost_the_role():
    RoleAssignment.objects.filter(account__username="anna").update(role="viewer")


def approver_named_lost_all_roles():
    anna = Account.objects.get(username="anna")
    SkillGrant.objects.create(
        skill_id=Execution.objects.get().skill_id, account=anna, right="approve"
    )
    RoleAssignment.objects.filter(account=anna).delete()


def approver_lost_the_grant():
    SkillGrant.objects.filter(role="approver", right="approve").delete()


@pytest.mark.parametrize(
    "happened",
    [
        approver_deactivated,
        approver_lost_the_role,
        approver_named_lost_all_roles,
        approver_lost_the_grant,
    ],
    ids=lambda each: each.__name__,
)
def test_an_approval_counts_only_while_its_giver_could_give_it(happened, approved):
    happened()

    assert not worker_starts(approved)
    assert approved.status == Status.REJECTED
    assert "Who approved this may not do so any more: anna." in approved.summary


def test_an_approver_who_may_again_when_a_worker_comes_has_approved(approved):
    approver_deactivated()
    Account.objects.filter(username="anna").update(is_active=True)

    assert worker_starts(approved)


@pytest.mark.parametrize("to", ["account", "group"])
@pytest.mark.parametrize("ends", ["delegation", "right of the delegator", None])
def test_an_approval_in_the_name_of_another_counts_while_both_may(oscar, person, ends, to):
    anna, victor, now = person("anna"), person("victor"), timezone.now()
    group = Group.objects.create(name="Deputies")
    GroupMember.objects.create(group=group, account=victor.account)
    whom = {"to_account": victor.account} if to == "account" else {"to_group": group}
    Delegation.objects.create(
        delegator=anna.account, starts_at=now, ends_at=now + timedelta(hours=1), **whom
    )
    execution = services.request_execution(
        actor=oscar, skill=skill_of("low", approval="four_eyes"), inputs={}
    )
    services.approve_execution(actor=victor.actor, execution=execution)

    if ends == "delegation":
        Delegation.objects.update(ends_at=timezone.now())
    elif ends:
        approver_lost_the_role()

    assert worker_starts(execution) == (ends is None)


def test_one_of_several_approvals_that_counts_no_more_is_asked_for_anew(oscar, olivia, person):
    put_in_force(olivia, low=(False, 2))
    anna, victor = person("anna"), person("victor")
    execution = services.request_execution(actor=oscar, skill=skill_of("low"), inputs={})
    for who in (person("dana"), victor):
        SkillGrant.objects.create(skill=execution.skill, account=who.account, right="approve")
    services.approve_execution(actor=anna.actor, execution=execution)
    approver_lost_the_role()

    second = services.approve_execution(actor=victor.actor, execution=execution)
    assert second.status == Status.AWAITING_APPROVAL
    shown = person("olivia").browser.get(f"/executions/{execution.pk}/").text
    assert "1 of 2 approvals are given" in shown
    assert shown.count("counts no more") == 1

    assert services.approve_execution(actor=olivia, execution=execution).status == Status.QUEUED
    assert worker_starts(execution)


def test_a_lost_run_is_not_started_again_by_an_approval_that_counts_no_more(oscar, person):
    skill = make_skill(manifest='approval = "four_eyes"\nidempotent = true\nmax_retries = 2')
    execution = services.request_execution(actor=oscar, skill=skill, inputs={})
    services.approve_execution(actor=person("anna").actor, execution=execution)
    assert worker_starts(execution)
    approver_lost_the_role()

    late = timezone.now() + lifecycle.LEASE + timedelta(seconds=1)
    lost = lifecycle.lose_execution(actor=Actor.system("scan"), execution=execution, found_at=late)

    assert lost.retried_as is None
    assert "somebody else approved it" in lost.error


def test_a_run_that_needs_nobody_costs_no_look_at_approvals(oscar, django_assert_num_queries):
    execution = services.request_execution(actor=oscar, skill=skill_of("low"), inputs={})

    with django_assert_num_queries(1):
        lifecycle.claim_execution(actor=Actor.system("worker"), execution_id=execution.pk)


def test_looser_rules_void_nothing(oscar, olivia):
    put_in_force(olivia, low=(True, 0))
    execution = services.request_execution(actor=oscar, skill=skill_of("low"), inputs={})
    services.confirm_execution(actor=oscar, execution=execution)

    put_in_force(olivia)

    assert worker_starts(execution)


def test_a_plain_run_that_was_queued_before_the_rules_were_tightened_does_not_start(oscar, olivia):
    execution = services.request_execution(actor=oscar, skill=skill_of("medium"), inputs={})
    assert execution.status == Status.QUEUED

    put_in_force(olivia, medium=(True, 0))

    assert not worker_starts(execution)
    assert "stricter" in execution.summary


def test_a_plain_run_starts_when_other_rules_demand_nothing_of_it(oscar, olivia):
    execution = services.request_execution(actor=oscar, skill=skill_of("low"), inputs={})

    put_in_force(olivia, high=(True, 3))

    assert worker_starts(execution)


def test_a_plain_run_of_a_disabled_skill_does_not_start(oscar):
    execution = services.request_execution(actor=oscar, skill=skill_of("low"), inputs={})
    disabled(execution, None)

    assert not worker_starts(execution)


def test_a_process_that_has_not_heard_of_the_new_rules_asks_by_them_all_the_same(oscar, olivia):
    from skills.executions.approvals import rules

    skill = skill_of("medium")
    before = rules.rules_in_force()
    put_in_force(olivia, medium=(True, 1))
    rules._last_read["tenant"] = before
    rules._last_read.update(dict.fromkeys(rules._last_read, before))

    execution = services.request_execution(actor=oscar, skill=skill, inputs={})

    assert execution.status == Status.AWAITING_CONFIRMATION


def test_rules_that_cannot_be_read_block(oscar):
    from skills.executions.approvals.models import ApprovalRules

    ApprovalRules.objects.create(
        demands={"low": {"confirm": "perhaps"}},
        expires_after_h=24,
        remind_after_h=4,
        digest="odd",
        set_at=timezone.now(),
    )

    from execfabric.core.errors import NotPermitted

    with pytest.raises(NotPermitted, match="no rule"):
        services.request_execution(actor=oscar, skill=skill_of("low"), inputs={})


class TestTheDatabaseItself:
    """What holds even for code that goes round the services."""

    @pytest.mark.parametrize(
        "change",
        [
            {"inputs_digest": "0" * 64},
            {"version_digest": "0" * 64},
            {"expires_at": timezone.now() + timedelta(days=365)},
            {"policy_version": "mine"},
        ],
    )
    def test_keeps_what_a_grant_is_bound_to(self, cleared, change):
        with pytest.raises(DatabaseError), transaction.atomic():
            RunGrant.objects.filter(execution=cleared).update(**change)

    def test_lets_no_grant_be_used_again(self, cleared):
        RunGrant.objects.filter(execution=cleared).update(used_at=timezone.now())

        with pytest.raises(DatabaseError), transaction.atomic():
            RunGrant.objects.filter(execution=cleared).update(used_at=None)

    def test_has_one_grant_for_an_execution(self, cleared):
        grant = cleared.grant
        grant.pk = None
        with pytest.raises(IntegrityError), transaction.atomic():
            grant.save(force_insert=True)

    @pytest.mark.parametrize("change", [{"mode": "auto"}, {"policy_version": ""}, {"reason": "x"}])
    def test_keeps_what_was_decided_when_it_was_asked_for(self, cleared, change):
        with pytest.raises(DatabaseError), transaction.atomic():
            Execution.objects.filter(pk=cleared.pk).update(**change)

    def test_takes_no_approval_of_who_asked(self, cleared, oscar, olivia):
        said = {"execution": cleared, "kind": "approve", "requester_id": oscar.user_id,
                "door": "api", "at": timezone.now()}  # fmt: skip
        for account, authority in (
            (oscar.user_id, oscar.user_id),
            (olivia.user_id, oscar.user_id),
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                Consent.objects.create(account_id=account, authority_id=authority, **said)

    def test_lets_nobody_change_a_word_or_the_rules(self, cleared, olivia):
        put_in_force(olivia)
        with pytest.raises(DatabaseError), transaction.atomic():
            Consent.objects.update(account_id=olivia.user_id)
        from skills.executions.approvals.models import ApprovalRules

        with pytest.raises(DatabaseError), transaction.atomic():
            ApprovalRules.objects.update(digest="mine")
        with pytest.raises(DatabaseError), transaction.atomic():
            ApprovalRules.objects.all().delete()
