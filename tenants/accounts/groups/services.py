from __future__ import annotations

from django.db import IntegrityError, transaction

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.audit import storable
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.roles import MANAGERS
from tenants.accounts.models import Account, Group, GroupMember

LONGEST_NAME = 60
LONGEST_DESCRIPTION = 200


@action("accounts.group.create", title="Create a group", roles=MANAGERS)
def create_group(*, actor: Actor, name: str, description: str = "") -> Group:
    """Create an empty group. Raises InvalidInput, Conflict (the name is taken)."""
    return _store(Group(), name, description)


@action("accounts.group.change", title="Change a group", roles=MANAGERS, target="group")
def change_group(*, actor: Actor, group: Group, name: str, description: str = "") -> Group:
    """Give group another name or description. Raises InvalidInput, Conflict."""
    return _store(group, name, description)


@action("accounts.group.delete", title="Delete a group", roles=MANAGERS, target="group")
def delete_group(*, actor: Actor, group: Group) -> None:
    """Delete group, and with it everything that was granted to it."""
    Group.objects.filter(pk=group.pk).delete()


@action("accounts.group.add", title="Add a member to a group", roles=MANAGERS, target="group")
def add_member(*, actor: Actor, group: Group, account: Account) -> Group:
    """Put account into group; again changes nothing. Raises Conflict if it cannot log in."""
    if not account.is_active:
        raise Conflict(f"The account {account.username} is not active.")
    GroupMember.objects.get_or_create(group=group, account=account)
    return group


@action(
    "accounts.group.remove", title="Remove a member from a group", roles=MANAGERS, target="group"
)
def remove_member(*, actor: Actor, group: Group, account: Account) -> Group:
    """Take account out of group. Raises Conflict when it is not in it."""
    deleted, _ = GroupMember.objects.filter(group=group, account=account).delete()
    if not deleted:
        raise Conflict(f"{account.username} is not in this group.")
    return group


def _store(group: Group, name: str, description: str) -> Group:
    name, description = storable(name).strip(), storable(description).strip()
    fields = {}
    if not 1 <= len(name) <= LONGEST_NAME:
        fields["name"] = f"Give a name of at most {LONGEST_NAME} characters."
    if len(description) > LONGEST_DESCRIPTION:
        fields["description"] = f"Use {LONGEST_DESCRIPTION} characters at most."
    if fields:
        raise InvalidInput("The group cannot be stored like this.", fields=fields)
    group.name, group.description = name, description
    try:
        with transaction.atomic():
            group.save()
    except IntegrityError:
        raise Conflict(f"There is a group named {name} already.") from None
    return group
