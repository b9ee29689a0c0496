"""Batches that wait for people, and drafts: how long, and what ends those nobody decides about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog
from django.db.models import BooleanField, ExpressionWrapper

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict
from execfabric.core.roles import SYSTEM
from skills.executions import policy
from skills.executions.approvals.rules import rules_in_force
from skills.executions.approvals.voiding import OVERTAKEN, void_because

from .models import Batch
from .moves import locked, move_batch, without_waiting_rows
from .states import WAITING, BatchStatus

logger = structlog.get_logger(__name__)

DRAFT_KEPT = timedelta(days=7)


@action("batches.batch.expire", title="Expire a batch", roles=SYSTEM, target="batch")
def expire_batch(*, actor: Actor, batch: Batch, expired_at: datetime) -> Batch:
    """End a batch nobody decided about in time, or a draft nobody started."""
    fresh = locked(batch.pk)
    if fresh.asked_at > expired_at - patience_with(fresh, rules_in_force()):
        raise Conflict("This batch is not old enough.")
    return move_batch(
        fresh, to=BatchStatus.EXPIRED, finished_at=expired_at, **without_waiting_rows(fresh)
    )


@action("batches.batch.void", title="End a batch that is void", roles=SYSTEM, target="batch")
def void_batch(*, actor: Actor, batch: Batch, voided_at: datetime) -> Batch:
    """End a batch that waits for people, but whose version will not run any more."""
    fresh = locked(batch.pk)
    if fresh.status not in WAITING or not (why := void_because(fresh)):
        raise Conflict("Somebody can still let this batch run.")
    return move_batch(
        fresh,
        to=BatchStatus.REJECTED,
        rejection=why,
        finished_at=voided_at,
        **without_waiting_rows(fresh),
    )


def patience_with(batch: Batch, rules: policy.Rules) -> timedelta:
    """Return how long a batch waits for people: a request as long as any other under the rules."""
    return DRAFT_KEPT if batch.status == BatchStatus.DRAFT else rules.expires_after


def end_undecided(now: datetime) -> None:
    """In the current schema: expire what nobody decided about in time, end what is void."""
    rules = rules_in_force()
    undecided = Batch.objects.filter(status__in={*WAITING, BatchStatus.DRAFT}).annotate(
        is_overtaken=ExpressionWrapper(OVERTAKEN, BooleanField())
    )
    for batch in undecided:
        if batch.asked_at < now - patience_with(batch, rules):
            with _on_its_own(batch):
                expire_batch(actor=Actor.system("scan"), batch=batch, expired_at=now)
        elif batch.is_overtaken and batch.status in WAITING:
            with _on_its_own(batch):
                void_batch(actor=Actor.system("scan"), batch=batch, voided_at=now)


@contextlib.contextmanager
def _on_its_own(batch: Batch) -> Iterator[None]:
    try:
        yield
    except Conflict:
        pass  # A person was faster; the refusal is in the trail.
    except Exception:
        logger.exception("scan.batch_failed", batch=str(batch.pk))
