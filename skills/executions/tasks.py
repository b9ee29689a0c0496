from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from celery import shared_task
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor
from execfabric.core.connections import drop_dead_connections
from execfabric.core.tasks import PlatformTask
from tenants.registry.models import Tenant

from . import lifecycle
from .approvals.reminding import overdue
from .approvals.services import remind

logger = structlog.get_logger(__name__)


@shared_task(name="executions.scan_all_tenants", base=PlatformTask)
def scan_all_tenants(**_newer: object) -> None:
    """Find lost, expired and forgotten executions in every schema; one that fails stops no other.

    Tenants that are not open take no work: nothing of theirs is sent again.
    """
    _in_every_schema(lambda tenant, now: lifecycle.scan_executions(now, takes_work=tenant.is_open))


@shared_task(name="executions.remind_all_tenants", base=PlatformTask)
def remind_all_tenants(**_newer: object) -> None:
    """In open tenants: remind, once, those whom a request waits for too long."""
    _in_every_schema(lambda tenant, now: remind_overdue(now) if tenant.is_open else None)


def remind_overdue(now: datetime) -> None:
    """In the current schema: remind of what is overdue. One that fails keeps back no other."""
    for execution in overdue(now):
        with lifecycle.on_its_own(execution):
            remind(actor=Actor.system("scan"), execution=execution, reminded_at=now)


def _in_every_schema(scan: Callable[[Tenant, datetime], None]) -> None:
    now = timezone.now()
    for tenant in list(Tenant.objects.order_by("schema_name")):
        try:
            with schema_context(tenant.schema_name):
                scan(tenant, now)
        except Exception:
            logger.exception("scan.schema_failed", scanned=tenant.schema_name)
            drop_dead_connections()
