"""Whether an execution may start now. Asked when a worker claims it, under its row's lock."""

from __future__ import annotations

from datetime import datetime

from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.errors import Conflict
from execfabric.core.permissions import can
from skills.executions import policy
from skills.executions.inputs import digest_of
from skills.executions.models import Execution
from skills.executions.states import Status
from tenants.accounts.actors import actor_for_account

from . import digests
from .authority import still_good
from .models import Consent, ConsentKind, RunGrant

STRICTER = "The rules have become stricter since this was asked for."


class NotCleared(Conflict):
    """What it needs to start does not hold; it ends with this reason and never starts."""

    code = "not_cleared"
    ends_as = Status.REJECTED


class GrantExpired(NotCleared):
    ends_as = Status.EXPIRED


def grant_needed(execution: Execution, rules: policy.Rules, *, now: datetime) -> RunGrant | None:
    """Return the grant by which execution may start, None where it needs none.

    execution and its grant are locked. Raises NotCleared with the reason, for the requester.
    """
    if not execution.skill.is_enabled:
        why = execution.skill.disabled_reason
        raise NotCleared(
            f"The skill was disabled before this could start{f': {why}' if why else '.'}"
        )
    decision = policy.decide(execution.version, rules)
    if decision.blocked:
        raise NotCleared(decision.blocked)
    grant = RunGrant.objects.select_for_update().filter(execution=execution).first()
    if grant is None:
        if execution.mode not in {policy.Mode.AUTO, ""}:
            raise NotCleared("Nobody has let this run.")
        if decision.mode != policy.Mode.AUTO:
            why = STRICTER if execution.mode else "Nobody has let this run."
            raise NotCleared(f"{why} Ask for the run again.")
        return None
    _check_binding(grant, execution, now)
    if not demand_met(execution, now=now).covers(decision.demand):
        gone = _approved_no_more(execution, now)
        raise NotCleared(f"{gone or STRICTER} Ask for the run again.")
    _check_requester(execution)
    return grant


def demand_met(execution: Execution, *, now: datetime) -> policy.Demand:
    """Return what people have said yes to, read off their words themselves.

    An approval counts only while who gave it could still give it.
    """
    words = Consent.objects.filter(execution=execution).values_list("kind", "account_id")
    said = set(words)
    approvals = {who for kind, who in said if kind == ConsentKind.APPROVE}
    if approvals:
        approvals &= set(approvals_standing(execution, now=now))
    confirmed = any(kind == ConsentKind.CONFIRM for kind, _who in said)
    return policy.Demand(confirm=confirmed, approvals=len(approvals - {execution.requested_by_id}))


def approvals_standing(execution: Execution, *, now: datetime) -> dict[int, int]:
    """Return by account whose right was used, of the approvals that count now."""
    said = Consent.objects.filter(execution=execution, kind=ConsentKind.APPROVE)
    good = still_good(said, execution.skill, now=now)
    return dict(good.values_list("account_id", "authority_id"))


def _approved_no_more(execution: Execution, now: datetime) -> str:
    """Return whose approval does not count any more, for the requester; empty for nobody's."""
    said = Consent.objects.filter(execution=execution, kind=ConsentKind.APPROVE)
    lost = said.exclude(account_id__in=approvals_standing(execution, now=now))
    names = ", ".join(lost.order_by("id").values_list("account__username", flat=True))
    return f"Who approved this may not do so any more: {names}." if names else ""


def _check_binding(grant: RunGrant, execution: Execution, now: datetime) -> None:
    if grant.used_at is not None:
        raise NotCleared("What let this run was used already.")
    if grant.expires_at <= now:
        raise GrantExpired("It was let run, but no worker took it in time. Ask for it again.")
    if execution.skill.version_id != execution.version_id:
        raise NotCleared(
            "Another version of the skill is in use now than the one that was let run."
        )
    if (
        grant.tenant_schema != current_schema()
        or grant.version_digest != digests.version_digest(execution.version)
        or grant.inputs_digest != _inputs_digest(execution)
        or execution.inputs_digest != digest_of(execution.inputs)
        or grant.requester_id != execution.requested_by_id
    ):
        raise NotCleared("This is not what was let run: something of it has changed since.")


def _inputs_digest(execution: Execution) -> str:
    try:
        return digests.inputs_digest(execution)
    except KeyError:
        return ""  # A file of it is gone.


def _check_requester(execution: Execution) -> None:
    requester = execution.requested_by
    if requester is None or not requester.is_active:
        raise NotCleared("The account that asked for this is not active any more.")
    actor: Actor = actor_for_account(requester, door=Door(execution.door))
    if not can(actor, "executions.execution.request", execution.skill):
        raise NotCleared("Who asked for this may not run the skill any more.")
