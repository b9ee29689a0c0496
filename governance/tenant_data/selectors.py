from __future__ import annotations

from django.db.models import QuerySet

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import PLATFORM, SYSTEM

from .models import TenantDeletion, TenantExport

READ = "tenant_data.work.read"

permissions.grant(READ, title="See exports and deletions of tenants", roles=PLATFORM | SYSTEM)


def exports_visible_to(actor: Actor) -> QuerySet[TenantExport]:
    """Return the exports, newest first; none without the right."""
    return TenantExport.objects.all() if can(actor, READ) else TenantExport.objects.none()


def deletions_visible_to(actor: Actor) -> QuerySet[TenantDeletion]:
    """Return the deletions, newest first; none without the right."""
    return TenantDeletion.objects.all() if can(actor, READ) else TenantDeletion.objects.none()


def deletion_of(actor: Actor, tenant_id: int) -> TenantDeletion | None:
    """Return the deletion of a tenant that waits, goes on or failed."""
    rows = deletions_visible_to(actor).filter(tenant_id=tenant_id)
    return rows.exclude(status__in=["done", "cancelled"]).first()
