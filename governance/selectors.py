from __future__ import annotations

from django.db.models import F, QuerySet

from execfabric.core.actor import Actor
from tenants.registry.models import Tenant
from tenants.registry.selectors import tenants_visible_to


def ledger_visible_to(actor: Actor) -> QuerySet[Tenant]:
    """Return the tenants with what they used and whose they are; newest number first.

    ``stored`` is how many bytes they keep, as last counted; None before the first count.
    """
    stored = F("usage__files_bytes") + F("usage__artifacts_bytes") + F("usage__bundles_bytes")
    tenants = tenants_visible_to(actor).select_related("usage", "customer_link__customer")
    return tenants.annotate(stored=stored)
