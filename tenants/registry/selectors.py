from __future__ import annotations

from django.db import connection
from django.db.models import QuerySet

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import PLATFORM, SYSTEM

from .models import Tenant, TenantKind

permissions.grant("registry.tenant.read", title="See the tenants", roles=PLATFORM | SYSTEM)


def tenants_visible_to(actor: Actor) -> QuerySet[Tenant]:
    """Return customer tenants and the free edition, newest number first; none without the right."""
    if not can(actor, "registry.tenant.read"):
        return Tenant.objects.none()
    tenants = Tenant.objects.exclude(kind=TenantKind.PLATFORM).prefetch_related("domains")
    return tenants.order_by("-number")


def customer_schemas() -> list[str]:
    """Return the schema of every tenant but the platform, whatever its status, that is there.

    Needs a session of the owner: nobody else reads the catalogue.
    """
    names = set(
        Tenant.objects.exclude(kind=TenantKind.PLATFORM).values_list("schema_name", flat=True)
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace ORDER BY nspname")
        return [name for (name,) in cursor.fetchall() if name in names]
