"""Who may see, run and approve a skill: roles, groups and accounts, as names and as rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from execfabric.core.errors import InvalidInput
from execfabric.core.roles import RUNNERS, TENANT_ROLES
from skills.catalogue.models import Right, Skill, SkillGrant
from tenants.accounts.models import Account, Group


class Kind(StrEnum):
    ROLE = "role"
    GROUP = "group"
    ACCOUNT = "account"


class Entitlement(NamedTuple):
    """One right of one role, group or account. Names are compared as they are stored."""

    kind: str
    who: str
    """The role, the group's name, or the username."""
    right: str


class Holder(NamedTuple):
    """A row of the page: who, and which rights they hold."""

    kind: str
    who: str
    label: str
    note: str
    rights: frozenset[str]


def entitlements_of(skill: Skill) -> frozenset[Entitlement]:
    return frozenset(_named(grant) for grant in skill.grants.select_related("group", "account"))


def fingerprint(entitlements: Iterable[Entitlement]) -> str:
    """Return what tells whether grants are still those somebody looked at."""
    lines = sorted("\t".join(one) for one in entitlements)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def holders_shown(skill: Skill) -> list[Holder]:
    """Return every role and group, and the accounts that hold a right by name."""
    held: dict[tuple[str, str], set[str]] = {}
    for one in entitlements_of(skill):
        held.setdefault((one.kind, one.who), set()).add(one.right)

    def holder(kind: Kind, who: str, label: str, note: str = "") -> Holder:
        return Holder(kind.value, who, label, note, frozenset(held.get((kind.value, who), ())))

    roles = [holder(Kind.ROLE, role.value, title) for role, title in TENANT_ROLES.items()]
    groups = [
        holder(Kind.GROUP, group.name, group.name, group.description)
        for group in Group.objects.order_by("name")
    ]
    named = Account.objects.filter(pk__in=skill.grants.values("account_id"))
    accounts = [
        holder(Kind.ACCOUNT, account.username, account.get_full_name(), account.username)
        for account in named.order_by("username")
    ]
    return [*roles, *groups, *accounts]


def can_have(kind: str, who: str, right: str) -> bool:
    """Return whether a right makes sense there: a role that runs nothing is not granted to run."""
    return kind != Kind.ROLE or right != Right.RUN or who in RUNNERS


def rows_for(skill: Skill, entitlements: Iterable[Entitlement]) -> list[SkillGrant]:
    """Return entitlements as rows that are not stored. Raises InvalidInput with what is unknown."""
    rows, wrong = [], {}
    for one in entitlements:
        try:
            rows.append(_row(skill, one))
        except ValueError as error:
            wrong[f"{one.kind} {one.who}"[:100]] = str(error)
    if wrong:
        raise InvalidInput("The rights cannot be given like this.", fields=wrong)
    return rows


def _row(skill: Skill, one: Entitlement) -> SkillGrant:
    if one.right not in Right.values:
        raise ValueError(f"The rights are {', '.join(Right.values)}.")
    if not can_have(one.kind, one.who, one.right):
        raise ValueError("This role runs nothing. Give the person another role.")
    grant = SkillGrant(skill=skill, right=one.right)
    if one.kind == Kind.ROLE:
        if one.who not in TENANT_ROLES:
            raise ValueError(f"The roles are {', '.join(TENANT_ROLES)}.")
        grant.role = one.who
    elif one.kind == Kind.GROUP:
        grant.group = Group.objects.filter(name__iexact=one.who).first()
        if grant.group is None:
            raise ValueError("There is no such group.")
    elif one.kind == Kind.ACCOUNT:
        grant.account = Account.objects.filter(username__iexact=one.who).first()
        if grant.account is None:
            raise ValueError("There is no such account.")
    else:
        raise ValueError("Name a role, a group or an account.")
    return grant


def _named(grant: SkillGrant) -> Entitlement:
    if grant.group:
        return Entitlement(Kind.GROUP.value, grant.group.name, grant.right)
    if grant.account:
        return Entitlement(Kind.ACCOUNT.value, grant.account.username, grant.right)
    return Entitlement(Kind.ROLE.value, grant.role, grant.right)
