from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import ParamSpec, TypeVar, cast

from django.conf import settings
from django.db.models import Max
from django_tenants.utils import schema_context

from execfabric.core import wake
from execfabric.core.actions import action
from execfabric.core.actor import Actor, Door
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.permissions import can
from execfabric.core.roles import PLATFORM, SYSTEM
from execfabric.core.states import move
from tenants.postgresql.owner import as_owner, require_owner
from tenants.postgresql.repairing import lock_roles

from .hosts import announce_tenant_change
from .models import (
    FIRST_NUMBER,
    SHARED_FRONT_FROM,
    TENANT_TRANSITIONS,
    Domain,
    FormerTenant,
    Front,
    Tenant,
    TenantKind,
    TenantStatus,
)
from .provisioning import provision_schema

P = ParamSpec("P")
R = TypeVar("R")

NAME_RULE = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
HOST_RULE = re.compile(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
RESERVED_NAMES = frozenset({"admin", "free", "www", "api", "static", "public", "localhost", "open"})
"""Hosts of the platform itself; and what an address of the admin host has in place of a name."""


@dataclass(frozen=True, slots=True)
class OwnerRequest:
    """The first account of a tenant. Without a password a set-password link is made."""

    username: str
    email: str = ""
    display_name: str = ""
    password: str = ""


OwnerFactory = Callable[[Actor, OwnerRequest], str]
_owner_factories: list[OwnerFactory] = []


def makes_owner(factory: OwnerFactory) -> OwnerFactory:
    """Register who makes the first account; it returns the set-password path or ''."""
    _owner_factories[:] = [factory]
    return factory


def owner_session_for(code: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Run an action in a session of the database's owner, for whom may do code.

    Anybody else, and everybody where the owner is not known, is refused by the action itself, so
    that the refusal is on record.
    """

    def decorate(run: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(run)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            actor = kwargs["actor"]
            if settings.DATABASE_OWNER is None or not can(cast(Actor, actor), code):
                return run(*args, **kwargs)
            with as_owner():
                return run(*args, **kwargs)

        return call

    return decorate


@owner_session_for("registry.tenant.open")
@action("registry.tenant.open", title="Open a tenant", roles=PLATFORM | SYSTEM, needs_proof=True)
def open_tenant(
    *,
    actor: Actor,
    name: str,
    title: str,
    owner: OwnerRequest,
    domain: str = "",
    front: Front | None = None,
) -> Tenant:
    """Create number, schema, host, baseline menu and the owner's account of a new customer.

    The host is ``<name>.<base domain>``, and ``domain`` too when given. Raises InvalidInput and
    Conflict (name or host taken); then nothing was created. Raises OwnerUnknown where this process
    cannot log in as the owner of the database.
    """
    require_owner()
    _check_name(name, title)
    lock_roles()  # So no other one is opened meanwhile, and the next number is ours.
    if Tenant.objects.filter(name=name).exists():
        raise Conflict(f"A tenant named {name} exists already. Choose another name.")
    latest = Tenant.objects.aggregate(latest=Max("number"))["latest"]
    number = max(FIRST_NUMBER, (latest or 0) + 1, (_latest_former() or 0) + 1)
    default_front = Front.SHARED if number >= SHARED_FRONT_FROM else Front.DEDICATED
    tenant = Tenant.objects.create(
        schema_name=f"tenant_{number}",
        number=number,
        name=name,
        title=title.strip(),
        front=front or default_front,
    )
    _add_domains(tenant, f"{name}.{settings.BASE_DOMAIN}", domain)
    provision_schema(tenant)
    tenant.set_password_path = make_owner(tenant, owner)
    announce_tenant_change()
    return tenant


@owner_session_for("registry.tenant.open_free")
@action("registry.tenant.open_free", title="Open the free edition", roles=SYSTEM)
def open_free_edition(*, actor: Actor, title: str) -> Tenant:
    """Create the free edition's tenant on ``<base>`` and ``free.<base>``. Raises Conflict."""
    require_owner()
    lock_roles()
    if Tenant.objects.filter(kind=TenantKind.FREE).exists():
        raise Conflict("The free edition is open already.")
    tenant = Tenant.objects.create(
        schema_name="tenant_free", kind=TenantKind.FREE, name="free", title=title
    )
    _add_domains(tenant, settings.BASE_DOMAIN, f"free.{settings.BASE_DOMAIN}")
    provision_schema(tenant)
    announce_tenant_change()
    return tenant


@action(
    "registry.tenant.suspend",
    title="Suspend a tenant",
    roles=PLATFORM,
    target="tenant",
    needs_proof=True,
)
def suspend_tenant(*, actor: Actor, tenant: Tenant, reason: str) -> Tenant:
    """Refuse every request of the tenant from now on, on every process within a second.

    What runs is ended, what is queued waits. Raises InvalidInput without a reason,
    InvalidTransition.
    """
    why = checked_reason(reason, "Say why it is suspended.")
    return _set_status(tenant, TenantStatus.SUSPENDED, reason=why)


@action(
    "registry.tenant.resume",
    title="Resume a tenant",
    roles=PLATFORM,
    target="tenant",
    needs_proof=True,
)
def resume_tenant(*, actor: Actor, tenant: Tenant, reason: str = "") -> Tenant:
    """Let a suspended or closed tenant in again.

    Raises InvalidTransition, Conflict while its deletion is asked for.
    """
    if Tenant.objects.filter(pk=tenant.pk, deletion_due_at__isnull=False).exists():
        raise Conflict("Its deletion is scheduled. Cancel that first.")
    return _set_status(tenant, TenantStatus.ACTIVE, closed_at=None)


@action("registry.tenant.activate", title="Activate a tenant", roles=PLATFORM, target="tenant")
def activate_tenant(*, actor: Actor, tenant: Tenant, reason: str = "") -> Tenant:
    """Make a trial, or a tenant that is about to expire, a regular one. Raises Conflict."""
    if tenant.status not in {TenantStatus.TRIAL, TenantStatus.EXPIRING}:
        raise Conflict("Only a trial or an expiring tenant is activated.")
    return _set_status(tenant, TenantStatus.ACTIVE)


@action(
    "registry.tenant.close",
    title="Close a tenant",
    roles=PLATFORM,
    target="tenant",
    needs_proof=True,
)
def close_tenant(*, actor: Actor, tenant: Tenant, reason: str, closed_at: datetime) -> Tenant:
    """End the tenant: refused as when it is suspended, and ready to be exported and deleted.

    Nothing is deleted by it. Raises InvalidInput without a reason, InvalidTransition, and Conflict
    for the free edition.
    """
    why = checked_reason(reason, "Say why it is closed.")
    if tenant.kind != TenantKind.CUSTOMER:
        raise Conflict("Only a tenant of a customer can be closed. Suspend this one instead.")
    return _set_status(tenant, TenantStatus.CLOSED, reason=why, closed_at=closed_at)


@action("registry.tenant.set_term", title="Set a tenant's term", roles=PLATFORM, target="tenant")
def set_tenant_term(
    *, actor: Actor, tenant: Tenant, expires_on: date | None, reason: str = ""
) -> Tenant:
    """Note the last day that is paid or agreed for; None where no end is known.

    It is noted and shown; nobody is shut out by it.
    """
    noted = Tenant.objects.select_for_update().get(pk=tenant.pk)
    noted.expires_on = expires_on
    noted.save(update_fields=["expires_on"])
    announce_tenant_change()
    return noted


def set_deletion_due(tenant: Tenant, due_at: datetime | None) -> Tenant:
    """Note from when on a closed tenant may be deleted, inside the act of who decides it.

    Raises Conflict when it is not closed.
    """
    noted = Tenant.objects.select_for_update().get(pk=tenant.pk)
    if not noted.is_closed:
        raise Conflict("Only a closed tenant can be deleted. Close it first.")
    noted.deletion_due_at = due_at
    noted.save(update_fields=["deletion_due_at"])
    return noted


def checked_reason(reason: str, wanted: str) -> str:
    """Return a reason without blanks around it. Raises InvalidInput when there is none."""
    if not reason.strip():
        raise InvalidInput("Give a reason.", fields={"reason": wanted})
    return reason.strip()


@action("registry.tenant.limit", title="Limit a tenant", roles=PLATFORM, target="tenant")
def limit_tenant(*, actor: Actor, tenant: Tenant, concurrency: int | None) -> Tenant:
    """Let at most so many executions of the tenant go on at once; None: as many as workers can.

    Those that go on already are left alone. Raises InvalidInput.
    """
    if concurrency is not None and not 1 <= concurrency <= MOST_CONCURRENCY:
        rule = f"Give a number from 1 to {MOST_CONCURRENCY}, or nothing for no limit."
        raise InvalidInput(rule, fields={"concurrency": rule})
    limited = Tenant.objects.select_for_update().get(pk=tenant.pk)
    limited.concurrency = concurrency
    limited.save(update_fields=["concurrency"])
    announce_tenant_change()
    return limited


MOST_CONCURRENCY = 10_000


def make_owner(tenant: Tenant, owner: OwnerRequest) -> str:
    """Make the owner's account in tenant's schema; return the set-password path or ''."""
    if not _owner_factories:
        raise RuntimeError("No app makes owner accounts; is tenants.accounts installed?")
    with schema_context(tenant.schema_name):
        provisioner = Actor.system("provisioning", door=Door.COMMAND)
        return _owner_factories[0](provisioner, owner)


def _set_status(
    tenant: Tenant, status: TenantStatus, *, reason: str = "", **fields: datetime | None
) -> Tenant:
    moved = move(tenant, to=status, table=TENANT_TRANSITIONS, status_reason=reason, **fields)
    announce_tenant_change()
    if not moved.is_open:
        wake.end_waits(moved.schema_name)
    return moved


def _latest_former() -> int | None:
    latest: int | None = FormerTenant.objects.aggregate(latest=Max("number"))["latest"]
    return latest


def _check_name(name: str, title: str) -> None:
    fields = {}
    if not NAME_RULE.fullmatch(name):
        fields["name"] = (
            "Use 1 to 40 small letters, digits and hyphens; begin and end with a letter or digit."
        )
    elif name in RESERVED_NAMES:
        fields["name"] = "This name is reserved. Choose another one."
    if not title.strip() or len(title) > 100:
        fields["title"] = "Give a title of 1 to 100 characters."
    if fields:
        raise InvalidInput("The tenant cannot be opened like this.", fields=fields)


def _add_domains(tenant: Tenant, primary: str, further: str) -> None:
    hosts = list(dict.fromkeys(host.strip().lower().rstrip(".") for host in (primary, further)))
    for host in filter(None, hosts):
        if not HOST_RULE.fullmatch(host):
            raise InvalidInput(
                "The domain is not a host name.",
                fields={"domain": "Give a host name such as skills.example.org, without a port."},
            )
        if Domain.objects.filter(domain=host).exists():
            raise Conflict(f"The host {host} belongs to a tenant already.", fields={"domain": host})
        Domain.objects.create(tenant=tenant, domain=host, is_primary=host == hosts[0])
