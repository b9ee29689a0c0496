from __future__ import annotations

from django.db.models import Q, QuerySet

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import EVERYONE, MANAGERS, SYSTEM
from skills.executions.approvals.authority import skills_to_approve

from .models import Batch, BatchApproval, BatchRow
from .states import BatchStatus

permissions.grant("batches.batch.read", title="See own batches", roles=EVERYONE)
permissions.grant(
    "batches.batch.read_all", title="See everybody's batches", roles=MANAGERS | SYSTEM
)


def batches_visible_to(actor: Actor) -> QuerySet[Batch]:
    """Return the batches actor may read, newest first, with skill, version and requester.

    As with executions: own ones; those that wait for an approval actor may give, or got one's
    decision; all with the right to read all.
    """
    batches = Batch.objects.select_related("skill", "version", "requested_by")
    if can(actor, "batches.batch.read_all"):
        return batches
    if not can(actor, "batches.batch.read"):
        return batches.none()
    own = Q(requested_by_id=actor.user_id or -1)
    waiting = Q(status=BatchStatus.AWAITING_APPROVAL, skill_id__in=skills_to_approve(actor))
    said = BatchApproval.objects.filter(account_id=actor.user_id or -1)
    decided = Q(pk__in=said.values("batch_id")) | Q(rejected_by_id=actor.user_id or -1)
    decided |= Q(approved_by_id=actor.user_id or -1)  # From before each approval had a row.
    return batches.filter(own | waiting | decided)


def rows_of(batch: Batch) -> QuerySet[BatchRow]:
    """Return the rows of a batch that may be seen, by number, with their executions."""
    return batch.rows.select_related("execution").order_by("number")
