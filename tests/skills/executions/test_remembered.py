"""Who ran a skill before is not looked up again; whatever was changed since counts at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from execfabric.core import permissions
from execfabric.core.errors import NotPermitted, Postponed
from execfabric.core.models import AuditEvent
from skills.catalogue import selectors
from skills.catalogue.models import Right, Skill, SkillGrant, Withdrawal
from skills.executions import api, policy, services
from skills.executions.approvals.models import ApprovalRules
from skills.executions.models import Execution
from skills.executions.storing import Outdated
from tenants.accounts import remembered
from tenants.accounts.authentication import BearerAuthentication
from tenants.accounts.groups.services import add_member, create_group, remove_member
from tenants.accounts.models import Account, ApiToken, RoleAssignment
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")

ADDRESS = "/api/v1/executions"
JSON = "application/json"


@pytest.fixture
def oscar(person):
    """Somebody who has just run a skill."""
    forget_all()
    make_skill()
    oscar = person("oscar")
    assert ask(oscar).status_code == 201
    assert selectors.skill_remembered(actor_of(oscar), "greet")
    return oscar


def actor_of(who):
    return next(actor for actor, _ in selectors._remembered if actor.username == who.actor.username)


def ask(who, **more):
    body = {"skill": "greet", "inputs": {}} | more
    return who.api.post(ADDRESS, body, format="json")


def ask_with_key(who):
    body, key = {"skill": "greet", "inputs": {}}, {"Idempotency-Key": "once"}
    return who.api.post(ADDRESS, body, format="json", headers=key)


def forget_all():
    selectors._remembered.clear()
    remembered._remembered.clear()


def events_beside(known):
    """Return what is recorded that known does not hold, and the ids of all that is."""
    columns = ("pk", "code", "outcome", "reason", "target_id")
    found = list(AuditEvent.objects.order_by("id").values_list(*columns))
    return [each[1:] for each in found if each[0] not in known], {each[0] for each in found}


def looks_up(who, monkeypatch):
    """Return whether the next request looks the skill up."""
    looked = []
    real = api.skill_to_run
    with monkeypatch.context() as patched:
        patched.setattr(api, "skill_to_run", lambda *args: looked.append(1) or real(*args))
        ask(who)
    return bool(looked)


def test_the_same_person_is_not_looked_up_again(oscar, monkeypatch):
    before = Execution.objects.count()

    assert not looks_up(oscar, monkeypatch)
    assert Execution.objects.count() == before + 1
    assert AuditEvent.objects.filter(code="executions.execution.request").count() == before + 1


def test_nobody_profits_from_what_another_may(oscar, person):
    SkillGrant.objects.all().delete()
    SkillGrant.objects.create(skill=Skill.objects.get(), account=oscar.account, right=Right.RUN)

    assert ask(oscar).status_code == 201
    assert ask(person("dana")).status_code == 404


def disable(_oscar):
    Skill.objects.update(is_enabled=False)


def revoke_grants(_oscar):
    SkillGrant.objects.all().delete()


def leave_only_other_rights(_oscar):
    SkillGrant.objects.filter(right=Right.RUN).delete()
    SkillGrant.objects.create(skill=Skill.objects.get(), role="operator", right=Right.APPROVE)


def take_role(oscar):
    RoleAssignment.objects.filter(account=oscar.account).delete()


def take_name(oscar):
    Account.objects.filter(pk=oscar.account.pk).update(username="olga", display_name="Olga")


def change_role(oscar):
    SkillGrant.objects.exclude(role="operator").delete()
    RoleAssignment.objects.filter(account=oscar.account).update(role="developer")


def withdraw(_oscar):
    Withdrawal.objects.create(
        version=Skill.objects.get().version, reason="It leaks.", withdrawn_at=timezone.now()
    )


def unbind(_oscar):
    Skill.objects.update(version=None)


def rename(_oscar):
    Skill.objects.update(name="other")


def disable_account(oscar):
    oscar.account.is_active = False
    oscar.account.save()


def revoke_token(_oscar):
    ApiToken.objects.all().delete()


def let_token_expire(_oscar):
    ApiToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))


def forbid_by_rules(_oscar):
    ApprovalRules.objects.create(
        demands={}, digest="1" * 16, expires_after_h=1, remind_after_h=1, set_at=timezone.now()
    )


@pytest.mark.parametrize(
    "change",
    [
        disable,
        revoke_grants,
        leave_only_other_rights,
        take_role,
        change_role,
        withdraw,
        unbind,
        rename,
        disable_account,
        revoke_token,
        let_token_expire,
        forbid_by_rules,
    ],
)
def test_what_was_taken_away_counts_at_once_and_is_refused_as_ever(oscar, change):
    change(oscar)
    runs = Execution.objects.count()
    _, known = events_beside(())

    answer = ask(oscar)

    recorded, known = events_beside(known)
    assert answer.status_code in {401, 403, 404, 409}
    assert Execution.objects.count() == runs
    forget_all()
    as_ever = ask(oscar)
    assert (answer.status_code, answer.json()) == (as_ever.status_code, as_ever.json())
    assert recorded == events_beside(known)[0]
    assert "done" not in {outcome for _, outcome, _, _ in recorded}


@pytest.mark.parametrize("body", ["{", '{"skill": 7}', '{"skill": "nothing", "inputs": {}}'])
@pytest.mark.parametrize("change", [revoke_token, disable_account, let_token_expire, take_role])
def test_who_may_come_no_more_learns_nothing(oscar, change, body):
    assert oscar.api.post(ADDRESS, body, content_type=JSON).status_code in {400, 404}
    assert ask(oscar).status_code == 201
    change(oscar)
    _, known = events_beside(())

    answer = oscar.api.post(ADDRESS, body, content_type=JSON)

    forget_all()
    as_ever = oscar.api.post(ADDRESS, body, content_type=JSON)
    assert answer.status_code in {401, 403}
    assert (answer.status_code, answer.json()) == (as_ever.status_code, as_ever.json())
    assert not events_beside(known)[0]


@pytest.mark.parametrize(
    "change", [revoke_token, disable_account, let_token_expire, take_role, revoke_grants]
)
def test_a_key_that_was_used_opens_nothing_where_the_rules_forbid_the_run(
    oscar, change, monkeypatch
):
    first = ask_with_key(oscar)
    monkeypatch.setattr(policy, "decide", lambda *_: policy.Decision(blocked="Nobody may."))
    assert ask_with_key(oscar).json() == first.json()
    change(oscar)
    _, known = events_beside(())

    answer = ask_with_key(oscar)

    recorded, known = events_beside(known)
    forget_all()
    as_ever = ask_with_key(oscar)
    assert answer.status_code in {401, 403, 404}
    assert (answer.status_code, answer.json()) == (as_ever.status_code, as_ever.json())
    assert recorded == events_beside(known)[0]


@pytest.mark.parametrize("change", [revoke_token, disable_account, let_token_expire])
def test_an_error_of_ours_is_not_recorded_in_the_name_of_who_may_come_no_more(
    oscar, change, monkeypatch
):
    def fail(*_args):
        raise RuntimeError

    monkeypatch.setattr(services, "store_request", fail)
    change(oscar)
    _, known = events_beside(())

    assert ask(oscar).status_code == 401
    assert not events_beside(known)[0]


def test_an_error_of_ours_before_the_act_is_not_told_to_who_may_come_no_more(oscar, monkeypatch):
    def fail(_data):
        raise RuntimeError

    monkeypatch.setattr(api, "plainly_valid", fail)
    revoke_token(oscar)

    assert ask(oscar).status_code == 401


def test_an_error_of_ours_is_recorded_once_of_who_may_come(oscar, monkeypatch):
    def fail(*_args):
        raise RuntimeError

    monkeypatch.setattr(services, "store_request", fail)
    oscar.api.raise_request_exception = False
    _, known = events_beside(())

    assert ask(oscar).status_code == 500
    assert [outcome for _, outcome, _, _ in events_beside(known)[0]] == ["failed"]


def test_an_act_that_has_found_nothing_out_about_the_login_is_not_believed(oscar, monkeypatch):
    first = Execution.objects.get()
    first.found_as_seen = ()
    monkeypatch.setattr(services, "request_execution", lambda **_: first)
    revoke_token(oscar)

    assert ask(oscar).status_code == 401


def test_a_refusal_by_what_is_remembered_is_asked_for_again(oscar, monkeypatch):
    real = permissions.require

    def require(actor, *what):
        if actor.as_seen:
            raise NotPermitted("By what was seen.")
        return real(actor, *what)

    monkeypatch.setattr(permissions, "require", require)
    _, known = events_beside(())

    assert ask(oscar).status_code == 201
    assert [outcome for _, outcome, _, _ in events_beside(known)[0]] == ["done"]


def test_a_long_body_waits_for_the_look_up(oscar, monkeypatch):
    read = []
    monkeypatch.setattr(api, "plainly_valid", lambda data: read.append(data))
    revoke_token(oscar)
    body = {"skill": "greet", "inputs": {}, "reason": "x" * remembered.LARGEST_BODY}

    assert oscar.api.post(ADDRESS, body, format="json").status_code == 401
    assert not read


def test_nobody_is_left_where_the_look_up_breaks(oscar, monkeypatch):
    def fail(*_args):
        raise OSError

    seen = []
    real = remembered.LoginCheckedByTheAct.handle_exception

    def look(view, error):
        seen.append((view.request.user, view.request.actor.roles))
        return real(view, error)

    oscar.api.raise_request_exception = False
    revoke_token(oscar)
    monkeypatch.setattr(BearerAuthentication, "authenticate_credentials", fail)
    monkeypatch.setattr(remembered.LoginCheckedByTheAct, "handle_exception", look)

    assert ask(oscar).status_code == 500
    assert seen
    assert set(seen) == {(None, frozenset())}


def test_another_door_or_address_is_remembered_by_itself(oscar):
    api = APIClient(SERVER_NAME="acme.localhost")
    api.credentials(
        HTTP_AUTHORIZATION=f"Bearer {oscar.token}",
        HTTP_HOST="acme.localhost",
        HTTP_USER_AGENT="execfabric-cli/1",
        REMOTE_ADDR="192.0.2.7",
    )

    for _ in range(2):
        assert api.post(ADDRESS, {"skill": "greet", "inputs": {}}, format="json").status_code == 201
        event = AuditEvent.objects.filter(code="executions.execution.request").latest("id")
        assert (event.door, event.address) == ("cli", "192.0.2.7")


def test_a_login_is_remembered_for_asking_only(oscar):
    revoke_token(oscar)

    assert oscar.api.get(ADDRESS).status_code == 401
    assert oscar.api.post(f"{ADDRESS}/{Execution.objects.get().pk}/cancel").status_code == 401


def test_an_action_that_checks_no_login_takes_nobody_from_memory(oscar):
    unseen = replace(oscar.actor, as_seen=("digest",))
    _, known = events_beside(())

    with pytest.raises(Postponed):
        services.cancel_execution(actor=unseen, execution=Execution.objects.get())
    with pytest.raises(Outdated):
        services.request_execution(actor=unseen, skill=Skill.objects.get(), inputs={})
    assert not events_beside(known)[0]
    assert Execution.objects.count() == 1


def test_a_login_is_looked_up_when_its_use_is_to_be_noted(oscar, monkeypatch):
    long_ago = timezone.now() - timedelta(hours=1)
    (known,) = remembered._remembered.values()
    monkeypatch.setattr(known, "last_used_at", long_ago)
    ApiToken.objects.update(last_used_at=long_ago)

    assert ask(oscar).status_code == 201

    assert ApiToken.objects.get().last_used_at > long_ago
    (known,) = remembered._remembered.values()
    assert known.last_used_at > long_ago


def test_a_new_name_stands_in_answer_and_trail_at_once(oscar):
    take_name(oscar)

    assert ask(oscar).json()["requested_by"] == "olga"
    assert AuditEvent.objects.latest("id").actor_name == "olga"


def test_a_token_is_remembered_for_its_tenant_only(oscar):
    elsewhere = "globex.localhost"
    api = APIClient(SERVER_NAME=elsewhere)
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {oscar.token}", HTTP_HOST=elsewhere)

    assert api.post(ADDRESS, {"skill": "greet", "inputs": {}}, format="json").status_code == 401


def test_a_member_who_left_the_group_is_out(oscar, person):
    SkillGrant.objects.all().delete()
    group = create_group(actor=person("olivia").actor, name="Night shift")
    add_member(actor=person("olivia").actor, group=group, account=oscar.account)
    SkillGrant.objects.create(skill=Skill.objects.get(), group=group, right=Right.RUN)
    assert ask(oscar).status_code == 201

    remove_member(actor=person("olivia").actor, group=group, account=oscar.account)

    assert ask(oscar).status_code == 404


def test_another_version_is_the_one_that_runs(oscar):
    make_skill(code="def main():\n    return 1\n")
    newer = Skill.objects.get().version

    assert newer.number == 2
    assert ask(oscar).json()["version"] == 2
    assert ask(oscar).json()["version"] == 2


def test_a_skill_with_files_is_not_remembered_for_an_earlier_version_without(oscar):
    def ask_again():
        body = {"skill": "greet", "inputs": {}}
        key = {"Idempotency-Key": "once"}
        return oscar.api.post("/api/v1/executions", body, format="json", headers=key).json()["id"]

    make_skill(code="def main():\n    return 1\n")
    first = ask_again()
    inputs = '[inputs.report]\ntype = "string"\nformat = "file"\noptional = true\n'
    make_skill(code="def main(report=None):\n    return 1\n", inputs=inputs)

    assert ask_again() == first
    assert not selectors._remembered


def test_wrong_inputs_and_a_used_key_are_answered_and_recorded_as_ever(oscar):
    events = AuditEvent.objects.count()

    answer = ask(oscar, inputs={"nobody": "asked"})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert AuditEvent.objects.count() == events + 1
    keyed = [
        oscar.api.post(
            "/api/v1/executions",
            {"skill": "greet", "inputs": {}},
            format="json",
            headers={"Idempotency-Key": "once"},
        ).json()["id"]
        for _ in range(2)
    ]
    assert keyed[0] == keyed[1]
