from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q, QuerySet

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import PLATFORM
from tenants.accounts.models import Account
from tenants.registry.models import Tenant

from .models import WhitelistEntry

READ = permissions.grant(
    "admins.account.read", title="See the accounts of the admin host", roles=PLATFORM
).code


def is_marked() -> Q:
    """Return the condition that tells super-admins from the other accounts of the admin host."""
    return Q(is_platform_admin=True) | Q(username__in=settings.ADMIN_USERNAMES)


def accounts_visible_to(actor: Actor) -> QuerySet[Account]:
    """Return the accounts of the admin host by name; none without the right."""
    if not can(actor, READ):
        return Account.objects.none()
    return Account.objects.order_by("username")


def super_admins_visible_to(actor: Actor) -> QuerySet[Account]:
    return accounts_visible_to(actor).filter(is_marked())


def tenant_admins_visible_to(actor: Actor) -> QuerySet[Account]:
    """Return the accounts that are no super-admins."""
    return accounts_visible_to(actor).exclude(is_marked())


def doors_of(account: Account) -> QuerySet[Tenant]:
    """Return the tenants account is on the whitelist of, by title."""
    return Tenant.objects.filter(pk__in=_entries(account)).order_by("title")


def with_doors(accounts: QuerySet[Account]) -> QuerySet[Account]:
    """Return accounts with ``door_names``: of the tenants each is on the whitelist of, sorted."""
    entries = WhitelistEntry.objects.filter(account=OuterRef("pk")).order_by("tenant__name")
    return accounts.annotate(door_names=ArraySubquery(entries.values("tenant__name")))


def _entries(account: Account) -> QuerySet[WhitelistEntry, int]:
    return WhitelistEntry.objects.filter(account=account).values_list("tenant_id", flat=True)
