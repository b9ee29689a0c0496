from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict
from execfabric.core.roles import SYSTEM

from ..hosts import announce_tenant_change
from ..models import FormerTenant, Tenant

Eraser = Callable[[Tenant], None]
_erasers: list[Eraser] = []


def on_tenant_erased(eraser: Eraser) -> Eraser:
    """Register what a higher floor deletes of a tenant outside of its schema.

    Called in the public schema, in the transaction in which the tenant goes; what lies elsewhere
    (Redis, disks) goes after its commit.
    """
    _erasers.append(eraser)
    return eraser


@action("registry.tenant.erase", title="Delete a tenant", roles=SYSTEM, target="tenant")
def erase_tenant(*, actor: Actor, tenant: Tenant, erased_at: datetime) -> FormerTenant:
    """Delete a tenant's rows in public, its hosts, its schema and its role: all, or nothing.

    Stored files are left to the caller. The platform's trail of it stays, and the number is never
    used again. Raises Conflict when it is not closed, or its deletion is not due; the database
    refuses that too.
    """
    due = Tenant.objects.filter(pk=tenant.pk, deletion_due_at__lte=erased_at)
    # Locked, so that nobody writes rows that hang on it, such as a count of what it used.
    found = due.select_for_update().first()
    if found is None or not found.is_closed or found.number is None or found.closed_at is None:
        raise Conflict("The deletion of this tenant is not due.")
    for eraser in _erasers:
        eraser(found)
    former = FormerTenant.objects.create(
        number=found.number,
        schema_name=found.schema_name,
        name=found.name,
        title=found.title,
        opened_at=found.created_at,
        closed_at=found.closed_at,
        deleted_at=erased_at,
    )
    due.delete()  # A trigger on this row drops schema and role.
    announce_tenant_change()
    return former
