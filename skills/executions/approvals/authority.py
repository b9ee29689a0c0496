"""Who may approve what: by a grant of their own, or in the name of who delegated it to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet
from django.utils import timezone

from execfabric.core.actor import Actor, Door
from execfabric.core.permissions import PERMISSIONS
from skills.catalogue.models import Right, Skill
from skills.catalogue.selectors import has_right, holders_of, skills_granted
from tenants.accounts.actors import actor_for_account
from tenants.accounts.groups.selectors import group_ids_of
from tenants.accounts.models import Account, GroupMember, RoleAssignment

from .models import Delegation

Said = TypeVar("Said", bound=Model)


def skills_to_approve(actor: Actor) -> QuerySet[Any]:
    """Return the ids of skills whose runs actor may approve now, for use in another query."""
    return skills_granted(
        Right.APPROVE, actor, lent_by=delegators_of(actor, timezone.now())
    ).values("skill_id")


def authorities_of(
    actor: Actor, skill: Skill, *, requester_id: int | None, now: datetime
) -> list[int]:
    """Return the accounts by whose right actor may approve a run, the own first.

    None when requester is the actor: nobody approves what they asked for, nor does anybody in
    their name. A delegated right cannot be delegated on.
    """
    if actor.user_id is None or actor.user_id == requester_id:
        return []
    own = [actor.user_id] if has_right(actor, skill, Right.APPROVE) else []
    lent = [
        one.pk
        for one in delegators_of(actor, now).exclude(pk=requester_id or -1)
        if has_right(actor_for_account(one, door=Door.PAGE), skill, Right.APPROVE)
    ]
    return own + lent


def delegators_of(actor: Actor, now: datetime) -> QuerySet[Account]:
    """Return the active accounts that have delegated their approvals to actor for now."""
    to_actor = Q(to_account_id=actor.user_id or -1) | Q(to_group_id__in=group_ids_of(actor.user_id))
    delegations = Delegation.objects.filter(to_actor, starts_at__lte=now, ends_at__gt=now)
    return (
        Account.objects.filter(pk__in=delegations.values("delegator_id"), is_active=True)
        .exclude(pk=actor.user_id or -1)
        .order_by("username")
    )


def approvers_of(skill: Skill, *, requester_id: int | None, now: datetime) -> QuerySet[Account]:
    """Return everybody who can approve a run of requester now, by username."""
    holders = holders_of(skill, Right.APPROVE).order_by()
    lent = Delegation.objects.filter(
        delegator__in=holders.exclude(pk=requester_id or -1).values("pk"),
        starts_at__lte=now,
        ends_at__gt=now,
    )
    members = GroupMember.objects.filter(group_id__in=lent.values("to_group_id"))
    return (
        Account.objects.filter(
            Q(pk__in=holders.values("pk"))
            | Q(pk__in=lent.exclude(to_account=None).values("to_account_id"))
            | Q(pk__in=members.values("account_id")),
            is_active=True,
        )
        .exclude(pk=requester_id or -1)
        .order_by("username")
    )


def still_good(said: QuerySet[Said], skill: Skill, *, now: datetime) -> QuerySet[Said]:
    """Narrow approvals of a run of skill to those that who gave them could give now, too.

    said: rows with ``account``, who spoke, and ``authority``, whose right was used. Gone are those
    of an account that is not active or holds no role any more, of a right that was taken back, and
    in the name of somebody whose delegation has ended.
    """
    groups = GroupMember.objects.filter(account=OuterRef(OuterRef("account"))).values("group_id")
    lent = Delegation.objects.filter(
        Q(to_account=OuterRef("account")) | Q(to_group__in=groups),
        delegator=OuterRef("authority"),
        starts_at__lte=now,
        ends_at__gt=now,
    )
    roles = PERMISSIONS["executions.execution.approve"].roles
    assigned = RoleAssignment.objects.filter(account=OuterRef("account"), role__in=roles)
    return said.filter(
        Q(account=F("authority")) | Exists(lent),
        Exists(assigned),
        account__is_active=True,
        authority__in=holders_of(skill, Right.APPROVE).order_by().values("pk"),
    )
