"""What people do with executions. What workers do is in lifecycle.py."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from execfabric.core import statements, wake
from execfabric.core.actions import action, write_recorded
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.permissions import can, target_rule
from execfabric.core.request_context import current_request_id
from execfabric.core.roles import MANAGERS, RUNNERS, Role
from skills.catalogue.errors import VersionWithdrawn
from skills.catalogue.models import Right, Skill, SkillVersion
from skills.catalogue.selectors import has_right, reason_withdrawn

from . import policy
from .files import note_use
from .files import upload_file as upload_file  # The other thing people do on their way to a run.
from .inputs import checked_inputs, digest_of, input_file_ids
from .lifecycle import CANCEL, CONFIRM_WITHIN
from .models import Execution
from .moves import enqueue_execution, move_execution, send_execution
from .states import FINAL, Status

LONGEST_KEY = 100


@action(
    "executions.execution.request",
    title="Run a skill",
    roles=RUNNERS,
    target="skill",
    in_one_statement=True,
)
def request_execution(
    *,
    actor: Actor,
    skill: Skill,
    inputs: Mapping[str, Any],
    version_number: int | None = None,
    idempotency_key: str = "",
    requested_at: datetime | None = None,
) -> Execution:
    """Ask for one run of skill; it waits for a person where the policy says so, else it is queued.

    version_number is what the caller expects to run; only the version in use ever runs. The same
    idempotency key of the same actor returns the first execution again. Raises InvalidInput
    (inputs), Conflict (another version is in use, or the key was used for other inputs),
    NotPermitted.
    """
    version = _version_in_use(skill, version_number)
    policy.check_door(version, actor.door)
    if len(idempotency_key) > LONGEST_KEY:
        raise InvalidInput(f"The idempotency key may have {LONGEST_KEY} characters at most.")
    checked = checked_inputs(actor, version, inputs)
    created_at = requested_at or timezone.now()
    status = policy.first_status(version)
    execution = Execution(
        skill=skill,
        version=version,
        requested_by_id=actor.user_id,
        door=actor.door,
        request_id=current_request_id(),
        idempotency_key=idempotency_key or None,
        inputs=checked,
        inputs_digest=digest_of(checked),
        status=status,
        created_at=created_at,
        sent_at=created_at if status == Status.QUEUED else None,
    )
    files = input_file_ids(version, checked)
    with transaction.atomic() if files else nullcontext():
        if not _insert(execution):
            return _earlier(execution)
        note_use(execution, files)
    if status == Status.QUEUED:
        enqueue_execution(execution)
    return execution


@action(
    "executions.execution.confirm", title="Confirm an execution", roles=RUNNERS, target="execution"
)
def confirm_execution(*, actor: Actor, execution: Execution) -> Execution:
    """Let an execution that awaits confirmation go on. Raises InvalidTransition."""
    if execution.status != Status.AWAITING_CONFIRMATION:
        raise Conflict("This execution does not wait for a confirmation.")
    _check_fresh(execution)
    after = policy.status_after_confirmation(execution.version)
    moved = move_execution(execution, to=after, confirmed_by_id=actor.user_id)
    if moved.status == Status.QUEUED:
        send_execution(moved)
    return moved


@action(
    "executions.execution.approve",
    title="Approve an execution",
    roles=MANAGERS | {Role.APPROVER},
    target="execution",
)
def approve_execution(*, actor: Actor, execution: Execution) -> Execution:
    """Let an execution that awaits approval go on; never by who asked for it."""
    if execution.status != Status.AWAITING_APPROVAL:
        raise Conflict("This execution does not wait for an approval.")
    _check_fresh(execution)
    moved = move_execution(execution, to=Status.QUEUED, approved_by_id=actor.user_id)
    send_execution(moved)
    return moved


@action(
    "executions.execution.reject",
    title="Reject an execution",
    roles=MANAGERS | {Role.APPROVER},
    target="execution",
)
def reject_execution(*, actor: Actor, execution: Execution, reason: str) -> Execution:
    """Refuse a waiting execution for good; the reason is shown to who asked for it."""
    if not reason.strip():
        raise InvalidInput("Give a reason.", fields={"reason": "Say why it is rejected."})
    return move_execution(
        execution,
        to=Status.REJECTED,
        rejected_by_id=actor.user_id,
        rejection=reason.strip(),
        finished_at=timezone.now(),
    )


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
    """Ask again with the same inputs and the version bound now; the same rules apply again."""
    if execution.status not in FINAL or execution.status == Status.SUCCEEDED:
        raise Conflict("Only an execution that ended without success can be retried.")
    again = request_execution(actor=actor, skill=execution.skill, inputs=execution.inputs)
    again.retry_of = execution
    again.save(update_fields=["retry_of"])
    return again


@target_rule("executions.execution.request")
def _may_run(actor: Actor, skill: object) -> bool:
    return isinstance(skill, Skill) and skill.is_enabled and has_right(actor, skill, Right.RUN)


@target_rule("executions.execution.confirm")
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
        and execution.requested_by_id != actor.user_id
        and execution.skill.is_enabled
        and has_right(actor, execution.skill, Right.APPROVE)
    )


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


def _check_fresh(execution: Execution) -> None:
    """Raise Conflict when a waiting request is too old, though no scan has ended it yet."""
    if execution.created_at < timezone.now() - CONFIRM_WITHIN:
        raise Conflict("This request is too old to go on. Ask for the run again.")


def _insert(execution: Execution) -> bool:
    """Store a new execution; False where its idempotency key was used before."""
    insert, values = statements.insert_of(execution)
    once = "ON CONFLICT (requested_by_id, idempotency_key) DO NOTHING RETURNING id"
    if not write_recorded(f"{insert} {once}", values, about=execution):
        return False
    execution._state.adding = False
    return True


def _earlier(execution: Execution) -> Execution:
    """Return the execution that was asked for with the same key. Raises Conflict if it differs."""
    earlier = Execution.objects.get(
        requested_by_id=execution.requested_by_id, idempotency_key=execution.idempotency_key
    )
    same = (earlier.skill_id, earlier.inputs_digest) == (
        execution.skill_id,
        execution.inputs_digest,
    )
    if not same:
        raise Conflict("This idempotency key was used for another request. Choose a new one.")
    return earlier
