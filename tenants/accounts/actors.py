"""From a logged-in account to the actor the services know."""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.http import HttpRequest
from django_tenants.utils import get_public_schema_name

from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.roles import TENANT_ROLES, Role

from .models import Account


def actor_for_account(
    account: Account, *, door: Door, address: str = "", assigned: Collection[str] | None = None
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
    )


def roles_of(account: Account, assigned: Collection[str] | None = None) -> frozenset[Role]:
    """Return the roles account holds in the current schema.

    In the public schema there is one role, by explicit marker or configured username; an id is
    never looked at. Roles assigned there count for nothing.
    """
    if not account.is_active:
        return frozenset()
    if current_schema() == get_public_schema_name():
        named = account.username in settings.ADMIN_USERNAMES
        return (
            frozenset({Role.PLATFORM_ADMIN}) if account.is_platform_admin or named else frozenset()
        )
    if assigned is None:
        assigned = {each.role for each in account.role_assignments.all()}
    return frozenset(role for role in TENANT_ROLES if role in assigned)


def client_address(request: HttpRequest) -> str:
    """Return the peer's IP address; headers are believed from configured proxies only."""
    peer = request.META.get("REMOTE_ADDR", "")
    if peer in settings.TRUSTED_PROXIES:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")[-1].strip()
        return forwarded[:45] or peer
    return peer
