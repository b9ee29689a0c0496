"""The life of an execution, as a table. A request is put into its first state by the policy."""

from __future__ import annotations

from django.db import models

from execfabric.core.states import Transitions


class Status(models.TextChoices):
    AWAITING_CONFIRMATION = "awaiting_confirmation", "Awaiting confirmation"
    AWAITING_APPROVAL = "awaiting_approval", "Awaiting approval"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    TIMED_OUT = "timed_out", "Timed out"
    CANCELLED = "cancelled", "Cancelled"
    LOST = "lost", "Lost"
    REJECTED = "rejected", "Rejected"
    EXPIRED = "expired", "Expired"


WAITING = frozenset({Status.AWAITING_CONFIRMATION, Status.AWAITING_APPROVAL})
"""States in which a person must act."""

FINAL = frozenset(
    {
        Status.SUCCEEDED,
        Status.FAILED,
        Status.TIMED_OUT,
        Status.CANCELLED,
        Status.LOST,
        Status.REJECTED,
        Status.EXPIRED,
    }
)

EXECUTION_TRANSITIONS: Transitions = {
    Status.AWAITING_CONFIRMATION: frozenset(
        {
            Status.AWAITING_APPROVAL,
            Status.QUEUED,
            Status.CANCELLED,
            Status.REJECTED,
            Status.EXPIRED,
        }
    ),
    Status.AWAITING_APPROVAL: frozenset(
        {Status.QUEUED, Status.CANCELLED, Status.REJECTED, Status.EXPIRED}
    ),
    # Rejected or expired: what it needs to start does not hold any more.
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED, Status.REJECTED, Status.EXPIRED}),
    Status.RUNNING: frozenset(
        {Status.SUCCEEDED, Status.FAILED, Status.TIMED_OUT, Status.CANCELLED, Status.LOST}
    ),
    **{status: frozenset() for status in FINAL},
}
