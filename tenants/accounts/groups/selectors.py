from __future__ import annotations

from django.db.models import Count, Q, QuerySet

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import EVERYONE, MANAGERS, SYSTEM
from tenants.accounts.models import Account, Group, GroupMember

permissions.grant("accounts.group.read", title="See the own groups", roles=EVERYONE)
permissions.grant(
    "accounts.group.read_all", title="See every group and its members", roles=MANAGERS | SYSTEM
)


def groups_visible_to(actor: Actor) -> QuerySet[Group]:
    """Return the groups actor may see, by name: the own ones, or all with that right.

    Each has ``size``, the number of its active members.
    """
    active = Count("members", filter=Q(members__is_active=True), distinct=True)
    groups = Group.objects.annotate(size=active).order_by("name")
    if can(actor, "accounts.group.read_all"):
        return groups
    if not can(actor, "accounts.group.read"):
        return groups.none()
    return groups.filter(pk__in=group_ids_of(actor.user_id))


def group_ids_of(account_id: int | None) -> QuerySet[GroupMember, int]:
    """Return the ids of the groups an account is in, to be used within another query."""
    return GroupMember.objects.filter(account_id=account_id or -1).values_list(
        "group_id", flat=True
    )


def members_of(group: Group) -> QuerySet[GroupMember]:
    """Return the memberships of group with their accounts, by username."""
    return group.memberships.select_related("account").order_by("account__username")


def accounts_to_add(group: Group) -> QuerySet[Account]:
    """Return the active accounts that are not in group yet, by username."""
    inside = group.memberships.values("account_id")
    return Account.objects.filter(is_active=True).exclude(pk__in=inside).order_by("username")
