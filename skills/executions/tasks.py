from __future__ import annotations

import structlog
from celery import shared_task
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.connections import drop_dead_connections
from execfabric.core.tasks import PlatformTask
from tenants.registry.models import Tenant

from . import hooks, lifecycle

logger = structlog.get_logger(__name__)


@shared_task(name="executions.scan_all_tenants", base=PlatformTask)
def scan_all_tenants(**_newer: object) -> None:
    """Find lost, expired and forgotten executions in every schema; one that fails stops no other.

    Tenants that are not open take no work: nothing of theirs is sent again.
    """
    now = timezone.now()
    for tenant in list(Tenant.objects.order_by("schema_name")):
        try:
            with schema_context(tenant.schema_name):
                lifecycle.scan_executions(now, takes_work=tenant.is_open)
                hooks.scan_owners(now, is_open=tenant.is_open)
        except Exception:
            logger.exception("scan.schema_failed", scanned=tenant.schema_name)
            drop_dead_connections()
