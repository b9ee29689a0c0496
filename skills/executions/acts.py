"""Which buttons an execution's page shows. The services check again."""

from __future__ import annotations

from execfabric.core.actor import Actor
from execfabric.core.permissions import can

from .approvals.shown import said_by
from .approvals.voiding import DECISIONS, void_because
from .models import Execution
from .services import secrets_of_another
from .states import Status


def acts_open_to(actor: Actor, execution: Execution) -> frozenset[str]:
    """Return what actor may do with execution now: confirm, approve, reject …"""
    wanted: list[tuple[str, bool]] = [
        ("confirm", execution.status == Status.AWAITING_CONFIRMATION),
        ("approve", _wants_approval_of(actor, execution)),
        ("reject", execution.awaits_a_person),
        ("cancel", not execution.is_final and execution.cancel_requested_at is None),
        ("retry", _can_be_retried(actor, execution)),
    ]
    if execution.awaits_a_person and void_because(execution):
        wanted = [(act, fits) for act, fits in wanted if act not in DECISIONS]
    acts = {
        act for act, fits in wanted if fits and can(actor, f"executions.execution.{act}", execution)
    }
    if execution.is_final and can(actor, "executions.execution.request", execution.skill):
        acts.add("again")
    return frozenset(acts)


def _wants_approval_of(actor: Actor, execution: Execution) -> bool:
    return execution.status == Status.AWAITING_APPROVAL and not said_by(actor, execution)


def _can_be_retried(actor: Actor, execution: Execution) -> bool:
    failed = execution.is_final and execution.status != Status.SUCCEEDED
    return failed and not secrets_of_another(actor, execution)
