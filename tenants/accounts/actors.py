"""From a logged-in account to the actor the services know."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Collection
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest
from django_tenants.utils import get_public_schema_name

from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.roles import TENANT_ROLES, Role

from .models import Account

FORWARDED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+)(?::\d+)?|([0-9A-Fa-f:.]+)")
"""``[2001:db8::1]:443``, ``192.0.2.1:443`` or an address alone."""


def actor_for_account(
    account: Account,
    *,
    door: Door,
    address: str = "",
    assigned: Collection[str] | None = None,
    is_proven: bool = False,
    as_seen: tuple[object, ...] = (),
) -> Actor:
    """Return account as an actor.

    assigned: its roles as stored, where they are known already. as_seen as in Actor.
    """
    return Actor(
        schema=current_schema(),
        username=account.username,
        display_name=account.get_full_name(),
        user_id=account.pk,
        roles=roles_of(account, assigned),
        door=door,
        address=address,
        is_proven=is_proven,
        as_seen=as_seen,
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
    """Return the IP address of the client; of what proxies say only what trusted ones do.

    Each proxy appends whom it was called by, so the list is read from its end: the first address
    that is no trusted proxy's is the client's, and what stands before it anybody may have written.
    """
    nearest = str(request.META.get("REMOTE_ADDR", ""))
    proxies = settings.TRUSTED_PROXIES
    if not proxies or not _is_one_of(nearest, proxies):
        return nearest
    for said in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        address = _address_in(said)
        if not address:
            return nearest
        nearest = address
        if not _is_one_of(address, proxies):
            break
    return nearest


@lru_cache(maxsize=1024)
def _is_one_of(address: str, ranges: frozenset[str]) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped:
        known = known.ipv4_mapped
    return any(known in ipaddress.ip_network(each) for each in ranges)


def _address_in(said: str) -> str:
    """Return the address in one item of the header, some write a port behind it; else nothing."""
    match = FORWARDED.fullmatch(said.strip())
    try:
        return str(ipaddress.ip_address(match[1] or match[2] or match[3])) if match else ""
    except ValueError:
        return ""
