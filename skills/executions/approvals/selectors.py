from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet

from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from skills.catalogue.models import Right
from skills.catalogue.selectors import holds_somewhere
from tenants.accounts.groups.selectors import group_ids_of

from .models import ApprovalRules, Delegation


def delegations_visible_to(actor: Actor) -> QuerySet[Delegation]:
    """Return the delegations by and to actor, all for those who set the rules; latest end first."""
    delegations = Delegation.objects.select_related("delegator", "to_account", "to_group")
    if can(actor, "executions.rules.set"):
        return delegations
    me = actor.user_id or -1
    to_me = Q(to_account_id=me) | Q(to_group_id__in=group_ids_of(actor.user_id))
    return delegations.filter(Q(delegator_id=me) | to_me)


def active_delegations(actor: Actor, now: datetime) -> QuerySet[Delegation]:
    return delegations_visible_to(actor).filter(ends_at__gt=now)


def has_approvals_to_give(actor: Actor) -> bool:
    """Return whether a grant lets actor approve anything; only that can be delegated."""
    return holds_somewhere(actor, Right.APPROVE)


def rules_history(*, most: int = 20) -> list[ApprovalRules]:
    """Return the rules as they were set, the newest first."""
    return list(ApprovalRules.objects.select_related("set_by").order_by("-id")[:most])
