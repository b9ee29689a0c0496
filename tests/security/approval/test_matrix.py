"""Every kind of skill, every door, every role: nothing starts before its people agreed."""

from __future__ import annotations

import pytest

from execfabric.core.models import AuditEvent, Outcome
from skills.executions import services
from skills.executions.models import Execution
from skills.executions.states import Status

from .cast import DOORS, put_in_force, skill_of, worker_starts

pytestmark = pytest.mark.usefixtures("acme")

CONFIRM, APPROVE, QUEUED = (
    Status.AWAITING_CONFIRMATION,
    Status.AWAITING_APPROVAL,
    Status.QUEUED,
)
TIGHT = {"medium": (True, 0), "high": (True, 2)}

# What the skill says, and the rules of the tenant: where a request begins (None: it is refused),
# and how many others must approve it.
#        risk      confirm approval      rules  begins   approvals
KINDS = {
    "low":                ("low",    False, "none",      {},    QUEUED,  0),
    "low, confirms":      ("low",    True,  "none",      {},    CONFIRM, 0),
    "low, four eyes":     ("low",    False, "four_eyes", {},    APPROVE, 1),
    "low, both":          ("low",    True,  "four_eyes", {},    CONFIRM, 1),
    "medium":             ("medium", False, "none",      {},    QUEUED,  0),
    "medium, tightened":  ("medium", False, "none",      TIGHT, CONFIRM, 0),
    "high":               ("high",   False, "none",      {},    CONFIRM, 0),
    "high, four eyes":    ("high",   False, "four_eyes", {},    CONFIRM, 1),
    "high, two of many":  ("high",   False, "none",      TIGHT, CONFIRM, 2),
    "high, both":         ("high",   False, "four_eyes", TIGHT, CONFIRM, 2),
    "an unknown risk":    ("odd",    False, "none",      {},    None,    0),
    "an unknown rule":    ("low",    False, "odd",       {},    None,    0),
}  # fmt: skip

#          may ask  may approve what others asked for
ROLES = {
    "olivia": (True,  True),   # owner
    "dana":   (True,  False),  # developer
    "oscar":  (True,  False),  # operator
    "anna":   (False, True),   # approver
    "victor": (False, False),  # viewer
}  # fmt: skip


@pytest.fixture
def kind(request, person):
    risk, confirm, approval, rules, begins, approvals = KINDS[request.param]
    if rules:
        put_in_force(person("olivia").actor, **rules)
    return skill_of(risk, confirm=confirm, approval=approval), begins, approvals


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_a_request_begins_where_the_policy_says_whoever_asks_through_whatever_door(
    kind, door, person
):
    skill, begins, _approvals = kind

    for name, (may_ask, _) in ROLES.items():
        execution = DOORS[door](person(name), skill)

        if not may_ask or begins is None:
            assert execution is None, f"{name} got one"
            continue
        assert execution is not None, f"{name} got none"
        assert execution.status == begins, name
        assert worker_starts(execution) == (begins == QUEUED), name


def post_page(who, execution, act):
    who.browser.post(f"/executions/{execution.pk}/{act}/", {"reason": "No"})


def post_api(who, execution, act):
    who.api.post(f"/api/v1/executions/{execution.pk}/{act}", {"reason": "No"}, format="json")


def post_cli(who, execution, act):
    who.api.post(
        f"/api/v1/executions/{execution.pk}/{act}",
        {"reason": "No"},
        format="json",
        HTTP_USER_AGENT="execfabric-cli/1",
    )


@pytest.mark.parametrize("post", [post_page, post_api, post_cli])
@pytest.mark.parametrize(
    "kind", [name for name, row in KINDS.items() if row[4] not in (None, QUEUED)], indirect=True
)
def test_only_the_right_people_let_it_go_on_and_only_all_of_them(kind, post, person):
    skill, begins, approvals = kind
    oscar = person("oscar")
    execution = services.request_execution(actor=oscar.actor, skill=skill, inputs={"name": "Ada"})

    def stands():
        execution.refresh_from_db()
        return execution.status

    if begins == CONFIRM:
        for name in ("olivia", "dana", "anna", "victor"):
            post(person(name), execution, "confirm")
            post(person(name), execution, "approve")
        post(oscar, execution, "approve")
        assert stands() == CONFIRM
        assert not worker_starts(execution)
        post(oscar, execution, "confirm")
    given = 0
    for name, (_, may_approve) in ROLES.items():
        if given == approvals:
            break
        assert stands() == APPROVE
        assert not worker_starts(execution)
        for _twice in range(2):
            post(person(name), execution, "approve")
        given += may_approve
        assert execution.consents.filter(kind="approve").count() == given
    assert stands() == QUEUED
    assert worker_starts(execution)


@pytest.mark.parametrize("door", DOORS)
def test_who_may_approve_never_approves_their_own(door, person):
    olivia = person("olivia")
    execution = DOORS[door](olivia, skill_of("low", approval="four_eyes"))

    for post in (post_page, post_api, post_cli):
        post(olivia, execution, "approve")

    execution.refresh_from_db()
    assert execution.status == APPROVE
    assert not execution.consents.exists()
    refused = AuditEvent.objects.filter(
        code="executions.execution.approve", outcome=Outcome.REFUSED
    )
    assert refused.count() == 3


@pytest.mark.parametrize("post", [post_page, post_api, post_cli])
def test_one_rejection_ends_it_whatever_others_said(post, person):
    put_in_force(person("olivia").actor, high=(True, 2))
    oscar = person("oscar").actor
    execution = services.request_execution(actor=oscar, skill=skill_of("high"), inputs={})
    services.confirm_execution(actor=oscar, execution=execution)
    post(person("olivia"), execution, "approve")

    post(person("anna"), execution, "reject")

    execution.refresh_from_db()
    assert execution.status == Status.REJECTED
    post(person("anna"), execution, "approve")
    assert not worker_starts(execution)


def test_a_replay_neither_confirms_nor_approves_nor_doubles(person):
    oscar = person("oscar").actor
    skill = skill_of("high")
    ask = {"actor": oscar, "skill": skill, "inputs": {}, "idempotency_key": "k"}
    first = services.request_execution(**ask)

    for _ in range(3):
        assert services.request_execution(**ask).status == CONFIRM
    services.confirm_execution(actor=oscar, execution=first)
    assert worker_starts(first)
    assert services.request_execution(**ask).pk == first.pk
    assert Execution.objects.count() == 1
