"""What people do with executions. What workers do is in lifecycle.py."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from execfabric.core import statements, wake
from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.audit import storable
from execfabric.core.errors import Conflict, DomainError, InvalidInput, NotPermitted
from execfabric.core.ids import uuid7
from execfabric.core.permissions import can, target_rule
from execfabric.core.request_context import current_request_id
from execfabric.core.roles import EVERYONE, RUNNERS
from execfabric.core.states import require_move
from skills.catalogue.errors import VersionWithdrawn
from skills.catalogue.models import Right, Skill, SkillVersion
from skills.catalogue.selectors import has_right, reason_withdrawn

from . import policy
from .approvals.authority import authorities_of
from .approvals.lifecycle import issue_grant, record_consent
from .approvals.models import ConsentKind
from .approvals.rules import rules_in_force
from .approvals.standing import demand_met
from .approvals.voiding import ANOTHER_VERSION
from .files import note_use
from .files import upload_file as upload_file  # The other thing people do on their way to a run.
from .inputs import checked_inputs, digest_of, input_file_ids
from .lifecycle import CANCEL
from .models import Execution
from .moves import enqueue_execution, move_execution, send_execution
from .states import EXECUTION_TRANSITIONS, FINAL, WAITING, Status
from .storing import Outdated, earlier_request, store_request

logger = structlog.get_logger(__name__)

LONGEST_KEY = 100
LONGEST_REASON = 2000
APPROVED = "approved"
"""Announced of an execution that has one more approval, and needs others still."""


@action(
    "executions.execution.request",
    title="Run a skill",
    roles=RUNNERS,
    target="skill",
    in_one_statement=True,
    checks_login=True,
)
def request_execution(
    *,
    actor: Actor,
    skill: Skill,
    inputs: Mapping[str, Any],
    version_number: int | None = None,
    idempotency_key: str = "",
    reason: str = "",
    requested_at: datetime | None = None,
    execution_id: UUID | None = None,
) -> Execution:
    """Ask for one run of skill; it waits for people where the policy says so, else it is queued.

    version_number is what the caller expects to run; only the version in use ever runs. The same
    idempotency key of the same actor returns the first execution again. reason is for those who
    must approve it. execution_id is for who listens for it already. Raises InvalidInput (inputs),
    Conflict (another version is in use, or the key was used for other inputs), NotPermitted; and
    Outdated, instead of any of them, where skill is remembered, as it must be where actor is.
    """
    try:
        execution, is_new = _stored_request(
            actor=actor,
            skill=skill,
            inputs=inputs,
            version_number=version_number,
            idempotency_key=idempotency_key,
            reason=reason,
            requested_at=requested_at,
            execution_id=execution_id,
        )
    except Exception as error:
        # Nothing is recorded of one that was not looked up, not even an error of ours.
        if skill.is_from_memory and not isinstance(error, Outdated):
            if not isinstance(error, DomainError):
                logger.warning("execution.request_tried_again", exc_info=error)
            raise Outdated from error
        raise
    if is_new and execution.status == Status.QUEUED:
        enqueue_execution(execution)
    return execution


def _stored_request(
    *,
    actor: Actor,
    skill: Skill,
    inputs: Mapping[str, Any],
    version_number: int | None,
    idempotency_key: str,
    reason: str,
    requested_at: datetime | None,
    execution_id: UUID | None,
) -> tuple[Execution, bool]:
    """Return the execution, and whether it is a new one."""
    version = _version_in_use(skill, version_number)
    policy.check_door(version, actor.door)
    if len(idempotency_key) > LONGEST_KEY:
        raise InvalidInput(f"The idempotency key may have {LONGEST_KEY} characters at most.")
    checked = checked_inputs(actor, version, inputs)
    execution = statements.new_row(
        Execution,
        id=execution_id or uuid7(),
        skill=skill,
        version=version,
        requested_by_id=actor.user_id,
        door=actor.door,
        request_id=current_request_id(),
        idempotency_key=idempotency_key or None,
        inputs=checked,
        inputs_digest=digest_of(checked),
        reason=storable(reason).strip()[:LONGEST_REASON],
        created_at=requested_at or timezone.now(),
    )
    files = input_file_ids(version, checked)
    with transaction.atomic() if files else nullcontext():
        if not store_request(execution, actor):
            return earlier_request(execution), False
        note_use(execution, files)
    return execution, True


@action(
    "executions.execution.confirm", title="Confirm an execution", roles=RUNNERS, target="execution"
)
def confirm_execution(*, actor: Actor, execution: Execution) -> Execution:
    """Let an execution that awaits confirmation go on. Raises InvalidTransition, Conflict."""
    if execution.status != Status.AWAITING_CONFIRMATION:
        raise Conflict("This execution does not wait for a confirmation.")
    rules = rules_in_force()
    _check_fresh(execution, rules)
    after = _still_allowed(execution, rules).status_after_confirmation
    moved = move_execution(execution, to=after, confirmed_by_id=actor.user_id)
    record_consent(moved, ConsentKind.CONFIRM, actor)
    return _let_run(moved, rules) if moved.status == Status.QUEUED else moved


@action(
    "executions.execution.approve",
    title="Approve an execution",
    roles=EVERYONE,
    target="execution",
)
def approve_execution(*, actor: Actor, execution: Execution) -> Execution:
    """Add actor's approval; with the last one that is needed the execution goes on.

    Never by who asked for it, nor in their name, and by each only once. Raises Conflict.
    """
    if execution.status != Status.AWAITING_APPROVAL:
        raise Conflict("This execution does not wait for an approval.")
    fresh = Execution.objects.select_for_update().get(pk=execution.pk)
    require_move(fresh, Status.QUEUED, EXECUTION_TRANSITIONS)
    rules = rules_in_force()
    _check_fresh(fresh, rules)
    decision = _still_allowed(fresh, rules)
    record_consent(fresh, ConsentKind.APPROVE, actor, authority=_unused_right(actor, fresh))
    met = demand_met(fresh, now=timezone.now())
    if decision.demand.confirm and not met.confirm:
        raise Conflict("By the rules now in force it must be confirmed first. Ask for it again.")
    if not met.covers(decision.demand):
        wake.announce(fresh.topic, APPROVED)
        return fresh
    moved = move_execution(fresh, to=Status.QUEUED, approved_by_id=actor.user_id)
    return _let_run(moved, rules)


@action(
    "executions.execution.reject",
    title="Reject an execution",
    roles=EVERYONE,
    target="execution",
)
def reject_execution(*, actor: Actor, execution: Execution, reason: str) -> Execution:
    """Refuse a waiting execution for good; the reason is shown to who asked for it."""
    if not reason.strip():
        raise InvalidInput("Give a reason.", fields={"reason": "Say why it is rejected."})
    fresh = Execution.objects.select_for_update().get(pk=execution.pk)
    if fresh.status not in WAITING:
        raise Conflict("This execution does not wait for anybody.")
    moved = move_execution(
        fresh,
        to=Status.REJECTED,
        rejected_by_id=actor.user_id,
        rejection=reason.strip(),
        finished_at=timezone.now(),
    )
    record_consent(moved, ConsentKind.REJECT, actor)
    return moved


@action(
    "executions.execution.cancel", title="Cancel an execution", roles=RUNNERS, target="execution"
)
def cancel_execution(*, actor: Actor, execution: Execution) -> Execution:
    """End a waiting or queued execution; ask the worker to stop a running one.

    Raises Conflict when it is over already.
    """
    fresh = Execution.objects.select_for_update().get(pk=execution.pk)
    if fresh.is_final:
        raise Conflict("This execution is over already; there is nothing to cancel.")
    now = timezone.now()
    if fresh.status != Status.RUNNING:
        return move_execution(fresh, to=Status.CANCELLED, cancel_requested_at=now, finished_at=now)
    fresh.cancel_requested_at = fresh.cancel_requested_at or now
    fresh.save(update_fields=["cancel_requested_at"])
    wake.announce(fresh.topic, CANCEL)
    return fresh


@action("executions.execution.retry", title="Retry an execution", roles=RUNNERS, target="execution")
def retry_execution(*, actor: Actor, execution: Execution) -> Execution:
    """Ask again with the same inputs and the version bound now; the same rules apply again.

    Secret inputs are for who gave them: somebody else has to enter them anew. Raises Conflict,
    NotPermitted, and as request_execution does.
    """
    if execution.status not in FINAL or execution.status == Status.SUCCEEDED:
        raise Conflict("Only an execution that ended without success can be retried.")
    if secrets := secrets_of_another(actor, execution):
        raise NotPermitted(
            f"Somebody else gave the secret inputs of this run ({', '.join(sorted(secrets))}), and "
            "they are not used again unseen. Run the skill anew and enter them."
        )
    again = request_execution(
        actor=actor, skill=execution.skill, inputs=execution.inputs, reason=execution.reason
    )
    again.retry_of = execution
    again.save(update_fields=["retry_of"])
    return again


def secrets_of_another(actor: Actor, execution: Execution) -> frozenset[str]:
    """Return the secret inputs of a run that somebody other than actor gave to it."""
    if execution.requested_by_id == actor.user_id:
        return frozenset()
    in_use = execution.skill.version
    secret = execution.version.secret_inputs | (in_use.secret_inputs if in_use else frozenset())
    return frozenset(name for name in secret if execution.inputs.get(name) not in (None, ""))


@target_rule("executions.execution.request")
def _may_run(actor: Actor, skill: object) -> bool:
    return isinstance(skill, Skill) and skill.is_enabled and has_right(actor, skill, Right.RUN)


@target_rule("executions.execution.confirm")
def _may_confirm(actor: Actor, execution: object) -> bool:
    """Only who asked for it: else one manager would stand for both the requester and the others."""
    return (
        isinstance(execution, Execution)
        and execution.requested_by_id == actor.user_id
        and _may_run(actor, execution.skill)
    )


@target_rule("executions.execution.retry")
def _may_run_it(actor: Actor, execution: object) -> bool:
    return _may_cancel(actor, execution) and _may_run(actor, execution.skill)  # type: ignore[attr-defined]


@target_rule("executions.execution.cancel")
def _may_cancel(actor: Actor, execution: object) -> bool:
    return isinstance(execution, Execution) and (
        execution.requested_by_id == actor.user_id or can(actor, "executions.execution.read_all")
    )


@target_rule("executions.execution.approve")
@target_rule("executions.execution.reject")
def _may_decide(actor: Actor, execution: object) -> bool:
    return (
        isinstance(execution, Execution)
        and execution.skill.is_enabled
        and bool(_authorities(actor, execution))
    )


def _authorities(actor: Actor, execution: Execution) -> list[int]:
    return authorities_of(
        actor,
        execution.skill,
        requester_id=execution.requested_by_id,
        now=timezone.now(),
    )


def _unused_right(actor: Actor, execution: Execution) -> int:
    """Return by whose right actor approves. Raises Conflict when all of them were used."""
    approvals = execution.consents.filter(kind=ConsentKind.APPROVE)
    used = set(approvals.values_list("authority_id", flat=True))
    unused = [one for one in _authorities(actor, execution) if one not in used]
    if not unused:
        raise Conflict("You, or those for whom you act, have approved this already.")
    return unused[0]


def _still_allowed(execution: Execution, rules: policy.Rules) -> policy.Decision:
    """Return what execution needs by rules. Raises Conflict where it cannot go on as it is."""
    if execution.skill.version_id != execution.version_id:
        raise Conflict(ANOTHER_VERSION)
    if reason := reason_withdrawn(execution.skill):
        raise VersionWithdrawn(reason)
    decision = policy.decide(execution.version, rules)
    if decision.blocked:
        raise Conflict(decision.blocked)
    return decision


def _let_run(execution: Execution, rules: policy.Rules) -> Execution:
    issue_grant(execution, rules)
    send_execution(execution)
    return execution


def _version_in_use(skill: Skill, expected: int | None) -> SkillVersion:
    """Return the bound version. Raises Conflict when there is none, or it is not the expected.

    Raises VersionWithdrawn where the platform has recalled it.
    """
    if skill.version is None:
        raise Conflict(f"Skill {skill.name} has no version in use.")
    if reason := reason_withdrawn(skill):
        raise VersionWithdrawn(reason)
    if expected is not None and expected != skill.version.number:
        raise Conflict(
            f"Version {skill.version.number} of {skill.name} is in use, not {expected}. "
            "Leave the version out, or look at the skill again."
        )
    return skill.version


def _check_fresh(execution: Execution, rules: policy.Rules) -> None:
    """Raise Conflict when a waiting request is too old, though no scan has ended it yet."""
    if execution.created_at < timezone.now() - rules.expires_after:
        raise Conflict("This request is too old to go on. Ask for the run again.")
