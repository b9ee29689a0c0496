from __future__ import annotations

import time
from datetime import timedelta

import structlog
from celery import shared_task
from django.db.models import F
from django.utils import timezone

from execfabric.core.connections import drop_dead_connections
from execfabric.core.tasks import PlatformTask
from tenants.registry.models import Tenant

from .services import count_tenant

logger = structlog.get_logger(__name__)

COUNT_S = 3.0
"""How long one round begins to count tenants: the other scans wait for it."""
COUNTED_EVERY = timedelta(minutes=2)


@shared_task(name="governance.count_usage", base=PlatformTask)
def count_usage(**_newer: object) -> None:
    """Count those tenants whose figures are oldest; what is not done is left to the next round."""
    now, until = timezone.now(), time.monotonic() + COUNT_S
    due = (
        Tenant.objects.exclude(usage__counted_at__gt=now - COUNTED_EVERY)
        .exclude(deletion_due_at__lte=now)
        .order_by(F("usage__counted_at").asc(nulls_first=True))
        .only("pk", "schema_name")
    )
    for tenant in list(due[:500]):
        if time.monotonic() > until:
            break
        try:
            count_tenant(tenant, now)
        except Exception:
            logger.exception("usage.not_counted", counted=tenant.schema_name)
            drop_dead_connections()
