"""Skills of every kind, doors, and a worker that tries to start whatever it hears of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import Conflict, DomainError, Postponed
from skills.catalogue.models import Skill
from skills.executions import lifecycle, services
from skills.executions.approvals.services import set_rules
from skills.executions.models import Execution
from skills.executions.policy import Demand
from tests.factories.skills import make_skill

INPUTS = {"name": "Ada", "times": 2}
AS_CLI = {"HTTP_USER_AGENT": "execfabric-cli/1"}


def skill_of(risk: str, *, confirm: bool = False, approval: str = "none") -> Skill:
    """Return an enabled skill. A risk or approval no manifest can hold is stored all the same."""
    known = risk in {"low", "medium", "high"} and approval in {"none", "four_eyes"}
    words = f'risk = "{risk}"\nconfirm = {str(confirm).lower()}\napproval = "{approval}"\n'
    skill = make_skill(manifest=words if known else "")
    if not known:
        odd = skill.version
        odd.pk, odd.number, odd.risk, odd.approval = None, odd.number + 1, risk, approval
        odd.save(force_insert=True)
        skill.version = odd
        skill.save()
    return skill


def put_in_force(actor: Actor, **demands: tuple[bool, int]) -> None:
    """Set the tenant's rules: by risk, whether to confirm and how many approvals."""
    base = {"low": (False, 0), "medium": (False, 0), "high": (True, 0)}
    said = {risk: Demand(*demand) for risk, demand in {**base, **demands}.items()}
    set_rules(actor=actor, demands=said)


def latest(after: int) -> Execution | None:
    """Return the newest execution if there are more than after."""
    return Execution.objects.order_by("-pk").first() if Execution.objects.count() > after else None


def by_page(who: Any, skill: Skill) -> Execution | None:
    before = Execution.objects.count()
    who.browser.post(f"/skills/{skill.name}/", {"input-name": "Ada", "input-times": 2})
    return latest(before)


def by_api(who: Any, skill: Skill, **headers: str) -> Execution | None:
    before = Execution.objects.count()
    body = {"skill": skill.name, "inputs": INPUTS}
    who.api.post("/api/v1/executions", body, format="json", **headers)
    return latest(before)


def by_cli(who: Any, skill: Skill) -> Execution | None:
    return by_api(who, skill, **AS_CLI)


def by_retry(who: Any, skill: Skill) -> Execution | None:
    """Retry one of their own that was cancelled; for who has none, somebody else's."""
    try:
        ended = services.request_execution(actor=who.actor, skill=skill, inputs=INPUTS)
        services.cancel_execution(actor=who.actor, execution=ended)
    except DomainError:
        ended = Execution.objects.order_by("-pk").first()
    before = Execution.objects.count()
    if ended is not None:
        who.api.post(f"/api/v1/executions/{ended.pk}/retry")
    return latest(before)


def by_replay(who: Any, skill: Skill) -> Execution | None:
    """Ask twice with the same key."""
    first = by_api(who, skill, HTTP_IDEMPOTENCY_KEY="again")
    assert by_api(who, skill, HTTP_IDEMPOTENCY_KEY="again") is None, "nothing new"
    return Execution.objects.get(pk=first.pk) if first else None


def by_batch(who: Any, skill: Skill) -> Execution | None:
    before = Execution.objects.count()
    try:
        services.request_execution(
            actor=replace(who.actor, door=Door.BATCH), skill=skill, inputs=INPUTS
        )
    except DomainError:
        assert Execution.objects.count() == before
    return latest(before)


DOORS = {
    "page": by_page,
    "API": by_api,
    "CLI": by_cli,
    "retry": by_retry,
    "replay": by_replay,
    "batch": by_batch,
}


def worker_starts(execution: Execution) -> bool:
    """Let a worker try everything it knows to take execution; return whether it got it."""
    worker = Actor.system("worker")
    try:
        try:
            lifecycle.claim_execution(actor=worker, execution_id=execution.pk)
        except Postponed:
            lifecycle.claim_in_turn(worker, execution.pk)
    except Conflict:
        pass
    execution.refresh_from_db()
    return execution.started_at is not None
