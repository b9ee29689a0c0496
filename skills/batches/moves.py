"""Moving a batch, and its rows along with it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from execfabric.core import wake
from execfabric.core.states import move

from .models import Batch
from .states import BATCH_TRANSITIONS, BatchStatus, RowStatus


def locked(batch_id: UUID) -> Batch:
    """Return the batch under a row lock, which whoever moves it or its rows takes first."""
    batches = Batch.objects.select_for_update(of=("self",))
    return batches.select_related("skill__version", "version", "requested_by").get(pk=batch_id)


def move_batch(batch: Batch, *, to: BatchStatus, **fields: Any) -> Batch:
    """Move batch by the table and wake those who wait for it. Raises InvalidTransition."""
    moved = move(batch, to=to, table=BATCH_TRANSITIONS, **fields)
    wake.announce(moved.topic, moved.status)
    return moved


def without_waiting_rows(batch: Batch) -> dict[str, int]:
    """Cancel the rows of a locked batch that were not handed over; return its new counters."""
    dropped = batch.rows.filter(status=RowStatus.WAITING).update(status=RowStatus.CANCELLED)
    return {"waiting_rows": 0, "cancelled_rows": batch.cancelled_rows + dropped}
