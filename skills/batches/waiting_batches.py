"""Batches in the inbox of those who must confirm or may approve them."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from execfabric.core.actor import Actor
from skills.executions.approvals.authority import skills_to_approve
from skills.executions.approvals.inbox import MOST_SHOWN, Source, Waiting
from skills.executions.approvals.rules import rules_in_force
from skills.executions.approvals.voiding import STILL_ASKED

from .models import Batch, BatchApproval
from .states import BatchStatus
from .undecided import patience_with


def batches_waiting_for(actor: Actor) -> QuerySet[Batch]:
    """Return the batches actor must confirm, and those of others that actor can approve."""
    own = Q(status=BatchStatus.AWAITING_CONFIRMATION, requested_by_id=actor.user_id or -1)
    batches = Batch.objects.filter(STILL_ASKED)
    others = Q(status=BatchStatus.AWAITING_APPROVAL, skill_id__in=skills_to_approve(actor))
    said = BatchApproval.objects.filter(
        batch=OuterRef("pk"), asked_at=OuterRef("asked_at"), account_id=actor.user_id or -1
    )
    return batches.filter(own | others & ~Q(requested_by_id=actor.user_id or -1) & ~Exists(said))


def _count(actor: Actor) -> int:
    return batches_waiting_for(actor).count()


def _items(actor: Actor) -> list[Waiting]:
    waiting = batches_waiting_for(actor).select_related("version", "requested_by")
    rules, now = rules_in_force(), timezone.now()
    return [
        Waiting(
            kind="batch",
            id=str(batch.pk),
            act="confirm" if batch.status == BatchStatus.AWAITING_CONFIRMATION else "approve",
            title=f"{batch.version.title}: {batch.name}",
            risk=batch.version.risk,
            asked_by=batch.requested_by.get_full_name(),
            reason="",
            since=batch.asked_at,
            until=batch.asked_at + patience_with(batch, rules),
            is_overdue=batch.asked_at < now - rules.remind_after,
            url=reverse("batches:batch-detail", args=[batch.pk]),
        )
        for batch in waiting.order_by("asked_at")[:MOST_SHOWN]
    ]


BATCHES = Source(count=_count, items=_items)
