"""What super-admins do with the accounts of the admin host: their own kind, and tenant admins."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import QuerySet

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.roles import PLATFORM
from tenants.accounts.actors import is_super_admin
from tenants.accounts.models import Account
from tenants.accounts.services import add_account, set_password_path
from tenants.accounts.sessions.services import end_session, end_sessions, end_tokens
from tenants.registry.models import Tenant, TenantKind

from .models import WhitelistEntry
from .selectors import is_marked

LONGEST_REASON = 2000


@action("admins.super_admin.invite", title="Invite a super-admin", roles=PLATFORM, needs_proof=True)
def invite_super_admin(
    *, actor: Actor, username: str, display_name: str = "", email: str = ""
) -> Account:
    """Create an account that governs everything; it is of use once its password is set.

    Raises InvalidInput, Conflict.
    """
    return add_account(username, display_name=display_name, email=email, is_platform_admin=True)


@action(
    "admins.tenant_admin.invite",
    title="Put a tenant admin on the whitelist",
    roles=PLATFORM,
    needs_proof=True,
)
def invite_tenant_admin(
    *,
    actor: Actor,
    username: str,
    tenants: Collection[Tenant],
    display_name: str = "",
    email: str = "",
) -> Account:
    """Create an account that sees the doors of tenants and nothing else here.

    Raises InvalidInput, Conflict.
    """
    _check_doors(tenants)
    account = add_account(username, display_name=display_name, email=email)
    if is_super_admin(account):
        raise InvalidInput("This name is that of a configured super-admin.")
    _set_doors(actor, account, tenants)
    return account


@action(
    "admins.tenant_admin.change",
    title="Change the whitelist of a tenant admin",
    roles=PLATFORM,
    target="account",
    needs_proof=True,
)
def change_tenant_admin(*, actor: Actor, account: Account, tenants: Collection[Tenant]) -> Account:
    """Open exactly the doors of tenants to account, from the commit on. Raises InvalidInput."""
    if is_super_admin(account):
        raise InvalidInput("A super-admin needs no whitelist.")
    _check_doors(tenants)
    _set_doors(actor, account, tenants)
    return account


@action(
    "admins.account.disable",
    title="Disable an account of the admin host",
    roles=PLATFORM,
    target="account",
    needs_proof=True,
)
def disable_account(*, actor: Actor, account: Account, reason: str) -> Account:
    """Let account do nothing any more, from the commit on.

    Raises InvalidInput (no reason), NotPermitted (the own account), Conflict (it is disabled
    already, or the last super-admin who can log in).
    """
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise InvalidInput("Give a reason.", fields={"reason": "Give a reason."})
    # All of them locked: two that disable each other at once do not leave nobody.
    others = [one for one in _locked_super_admins() if one.pk != account.pk and _can_log_in(one)]
    fresh = Account.objects.select_for_update().get(pk=account.pk)
    if actor.user_id == fresh.pk:
        raise NotPermitted("Nobody disables the own account. Ask another super-admin.")
    if not fresh.is_active:
        raise Conflict("This account is disabled already.")
    if is_super_admin(fresh) and not others:
        raise Conflict("This is the last super-admin who can log in.")
    fresh.is_active = False
    fresh.save(update_fields=["is_active"])
    end_sessions(fresh)
    end_tokens(fresh)
    return fresh


@action(
    "admins.account.enable",
    title="Enable an account of the admin host",
    roles=PLATFORM,
    target="account",
    needs_proof=True,
)
def enable_account(*, actor: Actor, account: Account) -> Account:
    """Let a disabled account log in again. Raises Conflict."""
    fresh = Account.objects.select_for_update().get(pk=account.pk)
    if fresh.is_active:
        raise Conflict("This account is not disabled.")
    fresh.is_active = True
    fresh.save(update_fields=["is_active"])
    return fresh


@action(
    "admins.account.link",
    title="Make another set-password link",
    roles=PLATFORM,
    target="account",
    needs_proof=True,
)
def renew_link(*, actor: Actor, account: Account) -> str:
    """Return a new path to set the first password with, for an invitation that ran out.

    Raises Conflict (it has a password: nobody is given a way into an account in use).
    """
    if account.has_usable_password() or not account.is_active:
        raise Conflict("This account has a password, or is disabled.")
    return set_password_path(account)


@action(
    "admins.session.end",
    title="End a session of somebody else",
    roles=PLATFORM,
    target="account",
)
def end_session_of(*, actor: Actor, account: Account, handle: str) -> None:
    """End the session that Session.handle names, at once. Raises NotFound."""
    end_session(account, handle)


@action(
    "admins.session.end_all",
    title="End all sessions and tokens of somebody else",
    roles=PLATFORM,
    target="account",
)
def end_all_of(*, actor: Actor, account: Account) -> int:
    """End all sessions and tokens of account, at once; return how many there were."""
    return end_sessions(account) + end_tokens(account)


def _locked_super_admins() -> QuerySet[Account]:
    return Account.objects.select_for_update().filter(is_marked()).order_by("pk")


def _can_log_in(account: Account) -> bool:
    return account.is_active and account.has_usable_password()


def _check_doors(tenants: Collection[Tenant]) -> None:
    if not tenants:
        wrong = "Choose at least one tenant."
        raise InvalidInput(wrong, fields={"tenants": wrong})
    if any(tenant.kind == TenantKind.PLATFORM for tenant in tenants):
        wrong = "The admin host is no tenant."
        raise InvalidInput(wrong, fields={"tenants": wrong})


def _set_doors(actor: Actor, account: Account, tenants: Collection[Tenant]) -> None:
    WhitelistEntry.objects.filter(account=account).exclude(tenant__in=tenants).delete()
    WhitelistEntry.objects.bulk_create(
        [
            WhitelistEntry(account=account, tenant=tenant, created_by=actor.username)
            for tenant in tenants
        ],
        ignore_conflicts=True,
    )
