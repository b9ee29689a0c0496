from __future__ import annotations

from django.db.models import Count, Prefetch, Q, QuerySet, Sum

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import PLATFORM, SYSTEM

from .models import Customer, CustomerTenant

READ = "customers.customer.read"

permissions.grant(READ, title="See the customers", roles=PLATFORM | SYSTEM)


def customers_visible_to(actor: Actor) -> QuerySet[Customer]:
    """Return the customers, by name, with contacts and tenants; none without the right.

    Each has ``tenants`` and ``runs_30d``: how many tenants are theirs now, and what those ran.
    """
    if not can(actor, READ):
        return Customer.objects.none()
    links = CustomerTenant.objects.select_related("tenant", "tenant__usage")
    return Customer.objects.prefetch_related("contacts", Prefetch("links", links)).annotate(
        tenants=Count("links", filter=Q(links__tenant__isnull=False)),
        runs_30d=Sum("links__tenant__usage__runs_30d"),
    )
