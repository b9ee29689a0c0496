"""The life of a batch and of its rows, as tables."""

from __future__ import annotations

from django.db import models

from execfabric.core.states import Transitions
from skills.executions.states import Status


class BatchStatus(models.TextChoices):
    DRAFT = "draft", "Draft"
    AWAITING_CONFIRMATION = "awaiting_confirmation", "Awaiting confirmation"
    AWAITING_APPROVAL = "awaiting_approval", "Awaiting approval"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    CANCELLING = "cancelling", "Cancelling"
    FINISHED = "finished", "Finished"
    CANCELLED = "cancelled", "Cancelled"
    REJECTED = "rejected", "Rejected"
    EXPIRED = "expired", "Expired"


WAITING = frozenset({BatchStatus.AWAITING_CONFIRMATION, BatchStatus.AWAITING_APPROVAL})
"""A person must decide about the whole batch."""

FINAL = frozenset(
    {BatchStatus.FINISHED, BatchStatus.CANCELLED, BatchStatus.REJECTED, BatchStatus.EXPIRED}
)
"""Nothing happens any more, unless failed rows of a finished one are retried."""

BATCH_TRANSITIONS: Transitions = {
    BatchStatus.DRAFT: frozenset(
        {*WAITING, BatchStatus.RUNNING, BatchStatus.CANCELLED, BatchStatus.EXPIRED}
    ),
    BatchStatus.AWAITING_CONFIRMATION: frozenset(
        {
            BatchStatus.AWAITING_APPROVAL,
            BatchStatus.RUNNING,
            BatchStatus.CANCELLED,
            BatchStatus.REJECTED,
            BatchStatus.EXPIRED,
        }
    ),
    BatchStatus.AWAITING_APPROVAL: frozenset(
        {
            BatchStatus.RUNNING,
            BatchStatus.CANCELLED,
            BatchStatus.REJECTED,
            BatchStatus.EXPIRED,
        }
    ),
    BatchStatus.RUNNING: frozenset(
        {
            BatchStatus.PAUSED,
            BatchStatus.CANCELLING,
            BatchStatus.CANCELLED,
            BatchStatus.FINISHED,
        }
    ),
    BatchStatus.PAUSED: frozenset(
        {
            *WAITING,  # What was let run too long ago is asked for anew.
            BatchStatus.RUNNING,
            BatchStatus.CANCELLING,
            BatchStatus.CANCELLED,
            BatchStatus.FINISHED,
        }
    ),
    BatchStatus.CANCELLING: frozenset({BatchStatus.CANCELLED}),
    # Failed rows once more, under the same rules as the first time.
    BatchStatus.FINISHED: frozenset({*WAITING, BatchStatus.RUNNING}),
    BatchStatus.CANCELLED: frozenset(),
    BatchStatus.REJECTED: frozenset(),
    BatchStatus.EXPIRED: frozenset(),
}


class RowStatus(models.TextChoices):
    INVALID = "invalid", "Has errors"
    WAITING = "waiting", "Waiting"
    SENT = "sent", "Handed over"
    SUCCEEDED = Status.SUCCEEDED.value, "Succeeded"
    FAILED = Status.FAILED.value, "Failed"
    TIMED_OUT = Status.TIMED_OUT.value, "Timed out"
    LOST = Status.LOST.value, "Lost"
    CANCELLED = Status.CANCELLED.value, "Cancelled"


RETRIABLE = frozenset({RowStatus.FAILED, RowStatus.TIMED_OUT, RowStatus.LOST})
