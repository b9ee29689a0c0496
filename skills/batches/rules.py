"""Who may do what to which batch, beside what their role allows."""

from __future__ import annotations

from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.permissions import can, target_rule

from .approving import authorities_over
from .models import Batch


@target_rule("batches.batch.create")
def _may_run(actor: Actor, skill: object) -> bool:
    return can(actor, "executions.execution.request", skill)


@target_rule("batches.batch.map")
@target_rule("batches.batch.start")
@target_rule("batches.batch.confirm")
@target_rule("batches.batch.retry")
def _may_run_own(actor: Actor, batch: object) -> bool:
    """What runs is asked for in the name of who made the batch, and they confirm it themselves."""
    return (
        isinstance(batch, Batch)
        and batch.requested_by_id == actor.user_id
        and _may_run(actor, batch.skill)
    )


@target_rule("batches.batch.resume")
def _may_run_it(actor: Actor, batch: object) -> bool:
    return isinstance(batch, Batch) and _may_stop(actor, batch) and _may_run(actor, batch.skill)


@target_rule("batches.batch.pause")
@target_rule("batches.batch.cancel")
def _may_stop(actor: Actor, batch: object) -> bool:
    return isinstance(batch, Batch) and (
        batch.requested_by_id == actor.user_id or can(actor, "batches.batch.read_all")
    )


@target_rule("batches.batch.approve")
@target_rule("batches.batch.reject")
def _may_decide(actor: Actor, batch: object) -> bool:
    return (
        isinstance(batch, Batch)
        and batch.skill.is_enabled
        and bool(authorities_over(actor, batch, now=timezone.now()))
    )
