"""Who may see, run and approve: by role, by group, by name."""

from __future__ import annotations

import pytest

from execfabric.core.errors import InvalidInput
from execfabric.core.models import AuditEvent
from skills.catalogue.managing import grants, services
from skills.catalogue.managing.grants import Entitlement
from skills.catalogue.models import Right, Skill, SkillGrant
from skills.catalogue.selectors import has_right, skill_to_run, skills_visible_to
from skills.executions.selectors import executions_visible_to
from skills.executions.services import approve_execution, request_execution
from tenants.accounts.groups.services import add_member, create_group, delete_group, remove_member
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
WHY = "They do this work now."


@pytest.fixture
def olivia(person):
    return person("olivia").actor


@pytest.fixture
def skill():
    skill = make_skill("greet", manifest='approval = "four_eyes"')
    SkillGrant.objects.all().delete()
    return skill


@pytest.fixture
def night_shift(olivia, person):
    group = create_group(actor=olivia, name="Night shift")
    return add_member(actor=olivia, group=group, account=person("oscar").account)


def change(olivia, skill, *, give=(), take=(), **more):
    return services.change_grants(
        actor=olivia, skill=skill, give=list(give), take=list(take), reason=WHY, **more
    )


def asked_for(person, skill):
    """Let dana ask for a run; she is granted to."""
    dana = person("dana")
    SkillGrant.objects.create(skill=skill, account=dana.account, right=Right.RUN)
    return request_execution(actor=dana.actor, skill=Skill.objects.get(), inputs={})


def test_a_group_gives_its_members_what_it_is_granted_and_nobody_else(
    skill, night_shift, olivia, person
):
    change(olivia, skill, give=[Entitlement("group", "night SHIFT", "run")])
    oscar, dana = person("oscar").actor, person("dana").actor

    assert skill in skills_visible_to(oscar)
    assert has_right(oscar, skill, Right.RUN)
    assert not has_right(oscar, skill, Right.APPROVE)
    found = skill_to_run(oscar, "greet")
    assert found is not None
    assert has_right(oscar, found, Right.RUN)
    assert request_execution(actor=oscar, skill=found, inputs={}).requested_by_id == oscar.user_id
    assert skill not in skills_visible_to(dana)
    assert skill_to_run(dana, "greet") is None


@pytest.mark.parametrize("end", ["leave", "delete"])
def test_who_leaves_a_group_loses_it_at_once(skill, night_shift, olivia, person, end):
    change(olivia, skill, give=[Entitlement("group", "Night shift", "run")])
    oscar = person("oscar")

    if end == "leave":
        remove_member(actor=olivia, group=night_shift, account=oscar.account)
    else:
        delete_group(actor=olivia, group=night_shift)

    assert skill_to_run(oscar.actor, "greet") is None
    assert SkillGrant.objects.exists() == (end == "leave")


def test_a_group_that_approves_sees_what_waits_for_it(skill, olivia, person):
    anna = person("anna")
    group = create_group(actor=olivia, name="Seniors")
    add_member(actor=olivia, group=group, account=anna.account)
    change(olivia, skill, give=[Entitlement("group", "Seniors", "approve")])
    waiting = asked_for(person, skill)

    assert waiting in executions_visible_to(anna.actor)
    assert approve_execution(actor=anna.actor, execution=waiting).approved_by_id == anna.account.pk


def test_without_the_right_an_approver_sees_nothing_of_it(skill, person):
    waiting = asked_for(person, skill)

    assert waiting not in executions_visible_to(person("anna").actor)


def test_rights_are_given_and_taken_together_and_written_down(skill, olivia, person):
    first = [Entitlement("role", "operator", "run"), Entitlement("account", "VICTOR", "see")]
    change(olivia, skill, give=first)
    change(olivia, skill, give=[Entitlement("role", "viewer", "see")], take=first[:1])

    assert grants.entitlements_of(skill) == {
        Entitlement("account", "victor", "see"),
        Entitlement("role", "viewer", "see"),
    }
    event = AuditEvent.objects.filter(code="catalogue.grant.change").latest("pk")
    assert event.details["take"] == [["role", "operator", "run"]]
    assert event.details["reason"] == WHY


def test_what_is_given_twice_is_there_once(skill, olivia):
    right = Entitlement("role", "operator", "run")
    change(olivia, skill, give=[right, right])
    change(olivia, skill, give=[right])

    assert SkillGrant.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        Entitlement("role", "pilot", "run"),
        Entitlement("role", "system", "run"),
        Entitlement("role", "viewer", "run"),
        Entitlement("role", "operator", "own"),
        Entitlement("group", "Day shift", "run"),
        Entitlement("account", "nobody", "run"),
        Entitlement("team", "operator", "run"),
    ],
)
def test_what_cannot_be_granted_is_named_and_nothing_is_changed(skill, olivia, wrong):
    with pytest.raises(InvalidInput) as refusal:
        change(olivia, skill, give=[Entitlement("role", "operator", "run"), wrong])

    assert f"{wrong.kind} {wrong.who}" in refusal.value.fields
    assert not SkillGrant.objects.exists()


def test_who_looked_at_other_rights_is_told_and_nothing_is_changed(skill, olivia):
    seen = grants.fingerprint(grants.entitlements_of(skill))
    change(olivia, skill, give=[Entitlement("role", "operator", "run")], seen=seen)

    with pytest.raises(services.ChangedMeanwhile):
        change(olivia, skill, give=[Entitlement("role", "viewer", "see")], seen=seen)

    assert SkillGrant.objects.count() == 1
