"""Starting a lost run again, where its skill says that it may happen twice.

Lost is final, so what is started is a new execution, linked with the lost one both ways. It is the
very same request: inputs, version, who asked and who confirmed or approved it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from execfabric.core.actions import action
from execfabric.core.actor import Actor, Door
from execfabric.core.errors import Conflict, NotPermitted
from execfabric.core.permissions import can
from execfabric.core.roles import SYSTEM
from tenants.accounts.actors import actor_for_account

from . import hooks, policy
from .approvals.lifecycle import let_all_run
from .approvals.rules import rules_in_force
from .approvals.standing import approvals_standing
from .files import note_use
from .inputs import files_of, input_file_ids
from .models import Execution
from .moves import FORGOTTEN_AFTER, LONGEST_PAUSE
from .states import Status

FIRST_PAUSE = timedelta(seconds=10)
"""Between the loss of a run and its retry; three times as long after each further loss."""


def reason_against(lost: Execution, *, now: datetime) -> str:
    """Return why the platform does not start a lost run again, for its reader; empty if it does.

    Whoever asked for it must still be allowed to, and the version that ran still be in use.
    """
    version, skill = lost.version, lost.skill
    if not version.max_retries:
        return "Its skill does not say that it may run again."
    if lost.attempt >= version.max_retries:
        return f"It was started again {lost.attempt} times already, as often as its skill allows."
    if lost.cancel_requested_at is not None:
        return "It was to be cancelled."
    if skill.version_id != version.pk:
        return "Another version of its skill is in use now."
    files = files_of(version, lost.inputs)
    if any(each.content_id is None for some in files.values() for each in some):
        return "A file of its inputs was removed."
    if lost.requested_by is None:
        return "Nobody asked for it."
    if hooks.has_owner(lost.door):
        return "It is part of a batch, whose lost rows are retried there."
    try:
        # Inputs and version are immutable, so what people decided holds for the same run again,
        # if they could still decide it.
        policy.check_cleared(
            policy.decide(version, rules_in_force()),
            requested_by=lost.requested_by.pk,
            confirmed_by=lost.confirmed_by_id,
            approved_by=approvals_standing(lost, now=now),
        )
    except NotPermitted as refusal:
        return refusal.message
    asker = actor_for_account(lost.requested_by, door=Door(lost.door))
    if not can(asker, "executions.execution.request", skill):
        return "Whoever asked for it may not run its skill any more."
    return ""


@action(
    "executions.execution.repeat", title="Start a lost run again", roles=SYSTEM, target="execution"
)
def repeat_execution(*, actor: Actor, execution: Execution, lost_at: datetime) -> Execution:
    """Return a new execution in place of one that is about to be recorded as lost.

    It is queued, and handed to the workers by a scan once its pause is over. Raises Conflict where
    there is a reason against it, InvalidInput when a file of its inputs is gone.
    """
    if reason := reason_against(execution, now=lost_at):
        raise Conflict(f"This run is not started again. {reason}")
    rules = rules_in_force()
    decision = policy.decide(execution.version, rules)
    again = Execution.objects.create(
        skill_id=execution.skill_id,
        version_id=execution.version_id,
        requested_by_id=execution.requested_by_id,
        confirmed_by_id=execution.confirmed_by_id,
        approved_by_id=execution.approved_by_id,
        door=execution.door,
        request_id=execution.request_id,
        retry_of=execution,
        attempt=execution.attempt + 1,
        inputs=execution.inputs,
        inputs_digest=execution.inputs_digest,
        status=Status.QUEUED,
        reason=execution.reason,
        mode=decision.mode,
        policy_version=rules.version,
        created_at=lost_at,
        # So that the scan finds it forgotten once the pause is over.
        sent_at=lost_at + pause_before(execution.attempt + 1) - FORGOTTEN_AFTER,
    )
    if decision.mode != policy.Mode.AUTO:
        let_all_run(
            [again],
            confirmed_by=execution.confirmed_by_id,
            approved_by=approvals_standing(execution, now=lost_at),
            said_at=lost_at,
        )
    note_use(again, input_file_ids(execution.version, execution.inputs))
    return again


def pause_before(attempt: int) -> timedelta:
    """Return how long the retry with this number (1, 2, …) waits after the loss."""
    return min(FIRST_PAUSE * 3 ** (attempt - 1), LONGEST_PAUSE)
