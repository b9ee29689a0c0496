"""From a logged-in account to the actor the services know."""

from __future__ import annotations

import time
from collections.abc import Collection

from django.conf import settings
from django.http import HttpRequest
from django_tenants.utils import get_public_schema_name

from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.roles import TENANT_ROLES, Role

from .models import Account


def actor_for_account(
    account: Account,
    *,
    door: Door,
    address: str = "",
    assigned: Collection[str] | None = None,
    is_proven: bool = False,
) -> Actor:
    """Return account as an actor. assigned: its roles as stored, where they are known already."""
    return Actor(
        schema=current_schema(),
        username=account.username,
        display_name=account.get_full_name(),
        user_id=account.pk,
        roles=roles_of(account, assigned),
        door=door,
        address=address,
        is_proven=is_proven,
    )


def counts_as_proof(proven_at_s: float) -> bool:
    """Return whether who proved at that moment who they are need not do it again yet."""
    return time.time() - proven_at_s < settings.PROOF_S


def roles_of(account: Account, assigned: Collection[str] | None = None) -> frozenset[Role]:
    """Return the roles account holds in the current schema.

    In the public schema there is one role, by explicit marker or configured username; an id is
    never looked at. Roles assigned there count for nothing. Where super-admins must have a second
    factor, one who has none yet holds no role.
    """
    if not account.is_active:
        return frozenset()
    if current_schema() == get_public_schema_name():
        governs = is_super_admin(account) and not lacks_second_factor(account)
        return frozenset({Role.PLATFORM_ADMIN}) if governs else frozenset()
    if assigned is None:
        assigned = {each.role for each in account.role_assignments.all()}
    return frozenset(role for role in TENANT_ROLES if role in assigned)


def is_super_admin(account: Account) -> bool:
    """Return whether account is marked or configured as a super-admin of the public domain."""
    if current_schema() != get_public_schema_name():
        return False
    return account.is_platform_admin or account.username in settings.ADMIN_USERNAMES


def lacks_second_factor(account: Account) -> bool:
    """Return whether account must set up a second factor before anything else."""
    required = settings.ADMIN_SECOND_FACTOR and is_super_admin(account)
    return bool(required) and account.second_factor_at is None


def client_address(request: HttpRequest) -> str:
    """Return the peer's IP address; headers are believed from configured proxies only."""
    peer = request.META.get("REMOTE_ADDR", "")
    if peer in settings.TRUSTED_PROXIES:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")[-1].strip()
        return forwarded[:45] or peer
    return peer
