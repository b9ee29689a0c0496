"""What people have said to a batch as a whole, by the same rules as to a single execution."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, NotPermitted
from skills.executions import policy
from skills.executions.approvals.authority import authorities_of, still_good

from .models import Batch, BatchApproval

NOT_ANY_MORE = "Who approved this batch may not do so any more. Resume it to ask for it again."
SAID = "You, or those for whom you act, have approved this already."


def authorities_over(actor: Actor, batch: Batch, *, now: datetime) -> list[int]:
    """Return the accounts by whose right actor may approve a batch, the own first."""
    return authorities_of(actor, batch.skill, requester_id=batch.requested_by_id, now=now)


def unused_right(actor: Actor, batch: Batch, *, now: datetime) -> int:
    """Return by whose right actor approves. Raises Conflict when all of them were used."""
    used = set(approvals_of(batch).values())
    unused = [one for one in authorities_over(actor, batch, now=now) if one not in used]
    if not unused:
        raise Conflict(SAID)
    return unused[0]


def approvals_of(batch: Batch) -> dict[int, int]:
    """Return by account whose right was used; only of what was said since it was last asked for."""
    return dict(_said(batch).values_list("account_id", "authority_id"))


def approvals_standing(batch: Batch, *, now: datetime) -> dict[int, int]:
    """Return those of approvals_of that count: who gave them could give them now, too."""
    good = still_good(_said(batch), batch.skill, now=now)
    return dict(good.values_list("account_id", "authority_id"))


def _said(batch: Batch) -> QuerySet[BatchApproval]:
    return BatchApproval.objects.filter(batch=batch, asked_at=batch.asked_at)


def has_approved(actor: Actor, batch: Batch) -> bool:
    return actor.user_id in approvals_of(batch)


def is_approved_no_more(batch: Batch, decision: policy.Decision, *, now: datetime) -> bool:
    """Return whether enough people approved batch, but not enough of them still could."""
    needed = decision.demand.approvals
    return bool(needed) and len(approvals_standing(batch, now=now)) < needed <= len(
        approvals_of(batch)
    )


def is_cleared(batch: Batch, decision: policy.Decision, *, now: datetime) -> bool:
    """Return whether check_cleared would let it pass."""
    try:
        check_cleared(batch, decision, now=now)
    except NotPermitted:
        return False
    return True


def check_cleared(batch: Batch, decision: policy.Decision, *, now: datetime) -> None:
    """Raise NotPermitted unless the people the decision demands have let batch run, and could."""
    decision.require_allowed()
    if is_approved_no_more(batch, decision, now=now):
        raise NotPermitted(NOT_ANY_MORE)
    policy.check_cleared(
        decision,
        requested_by=batch.requested_by_id,
        confirmed_by=batch.confirmed_by_id,
        approved_by=approvals_standing(batch, now=now) if decision.demand.approvals else (),
    )
