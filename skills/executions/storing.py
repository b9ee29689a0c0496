"""Storing a request for a run: one statement, which checks that all is as its caller found it."""

from __future__ import annotations

from django.db.models import QuerySet

from execfabric.core import statements
from execfabric.core.actions import write_recorded
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, Postponed
from skills.catalogue.selectors import HOLDS_STILL, holds_still
from tenants.accounts.remembered import LOGIN_HOLDS_STILL

from . import policy
from .approvals.rules import POLICY_IN_FORCE, rules_in_force, rules_last_read
from .models import Execution
from .states import Status


class Outdated(Postponed):
    """Something of a remembered skill, or else, is not as it was: look it up and ask again."""

    def __init__(self) -> None:
        super().__init__("The skill has changed. Try again.")


def store_request(execution: Execution, actor: Actor) -> bool:
    """Store a new execution as the rules in force say; False where its key was used before.

    One statement, which stores nothing if the rules are others than this process read last; then
    they are read again. Raises NotPermitted where they let it not run at all; and Outdated where
    the skill is remembered, and it or its actor's login is not as it was.
    """
    skill = execution.skill
    allowed, as_before = _UNDER_THE_RULES, []
    if skill.is_from_memory:
        allowed = _AS_SEEN if actor.as_seen else _UNDER_THE_RULES_AS_BEFORE
        as_before = [*holds_still(actor, skill), *actor.as_seen]
    elif actor.as_seen:
        raise Outdated
    for rules in (rules_last_read(), None, None):
        rules = rules or rules_in_force()
        decision = policy.decide(execution.version, rules)
        if decision.blocked:
            rules = rules_in_force()  # What was read last may be right no more.
            decision = policy.decide(execution.version, rules)
        if decision.blocked and skill.is_from_memory:
            raise Outdated  # Nothing is asked, and so nothing found, in its actor's name.
        if decision.blocked and execution.idempotency_key and _same_key(execution).exists():
            return False
        decision.require_allowed()
        execution.mode = decision.mode
        execution.policy_version = rules.version
        execution.status = decision.first_status
        execution.sent_at = execution.created_at if execution.status == Status.QUEUED else None
        insert, values = statements.insert_of(execution, source=allowed)
        values += [rules.version, *as_before]
        if write_recorded(f"{insert} {_ONCE}", values, about=execution):
            execution._state.adding = False
            execution.found_as_seen = actor.as_seen
            return True
        if skill.is_from_memory:
            raise Outdated
        if execution.idempotency_key and _same_key(execution).exists():
            return False
    raise Conflict("The rules of this workspace are being changed. Try again.")


_UNDER_THE_RULES = f"(SELECT 1 WHERE {POLICY_IN_FORCE} = %s) AS allowed"
_UNDER_THE_RULES_AS_BEFORE = f"(SELECT 1 WHERE {POLICY_IN_FORCE} = %s AND {HOLDS_STILL}) AS allowed"
_AS_SEEN = f"""(
    SELECT 1 WHERE {POLICY_IN_FORCE} = %s AND {HOLDS_STILL} AND {LOGIN_HOLDS_STILL}
) AS allowed"""
_ONCE = "ON CONFLICT (requested_by_id, idempotency_key) DO NOTHING RETURNING id"


def _same_key(execution: Execution) -> QuerySet[Execution]:
    return Execution.objects.filter(
        requested_by_id=execution.requested_by_id, idempotency_key=execution.idempotency_key
    )


def earlier_request(execution: Execution) -> Execution:
    """Return the execution that was asked for with the same key. Raises Conflict if it differs."""
    earlier = _same_key(execution).get()
    same = (earlier.skill_id, earlier.inputs_digest) == (
        execution.skill_id,
        execution.inputs_digest,
    )
    if not same:
        raise Conflict("This idempotency key was used for another request. Choose a new one.")
    return earlier
