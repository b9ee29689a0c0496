from __future__ import annotations

from django.db.models import F, QuerySet

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import PLATFORM
from tenants.registry.models import Domain

READ = permissions.grant("governance.entry.read", title="See all entries", roles=PLATFORM).code


def domains_visible_to(actor: Actor) -> QuerySet[Domain]:
    """Return every host name with its tenant: the admin host first, then by number of the tenant.

    None without the right.
    """
    if not can(actor, READ):
        return Domain.objects.none()
    rows = Domain.objects.select_related("tenant")
    number = F("tenant__number").asc(nulls_first=True)
    return rows.order_by(number, "-tenant__kind", "-is_primary", "domain")
