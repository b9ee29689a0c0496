"""Which buttons a batch's page shows. The services check again."""

from __future__ import annotations

from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from skills.executions.approvals.voiding import DECISIONS, void_because

from .approving import has_approved
from .models import Batch
from .states import WAITING, BatchStatus


def acts_open_to(actor: Actor, batch: Batch) -> frozenset[str]:
    """Return what actor may do with batch now: start, confirm, pause …"""
    status = batch.status
    goes_on = not batch.is_final and status != BatchStatus.CANCELLING
    wanted: list[tuple[str, bool]] = [
        ("map", status == BatchStatus.DRAFT and batch.source_id is not None),
        ("start", status == BatchStatus.DRAFT),
        ("confirm", status == BatchStatus.AWAITING_CONFIRMATION),
        ("approve", status == BatchStatus.AWAITING_APPROVAL and not has_approved(actor, batch)),
        ("reject", status in WAITING),
        ("pause", status == BatchStatus.RUNNING),
        ("resume", status == BatchStatus.PAUSED),
        ("cancel", goes_on),
        ("retry", status == BatchStatus.FINISHED and batch.failed_rows > 0),
    ]
    if status in WAITING and void_because(batch):
        wanted = [(act, fits) for act, fits in wanted if act not in DECISIONS]
    return frozenset(
        act for act, fits in wanted if fits and can(actor, f"batches.batch.{act}", batch)
    )
