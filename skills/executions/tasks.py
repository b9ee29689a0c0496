from __future__ import annotations

import functools
import random
import time

import structlog
from celery import shared_task
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.connections import drop_dead_connections
from execfabric.core.statements import database_now
from execfabric.core.tasks import PlatformTask
from tenants.registry.models import Tenant

from . import hooks, lifecycle, retention
from .heartbeat import BEAT_S

logger = structlog.get_logger(__name__)

SECOND_LOOK_S = 2.5 * BEAT_S
"""How long workers have for their leases before a scan takes them for dead."""

SWEEP_S = 5.0
"""How long a sweep of files begins new steps: the other scans wait for it."""


@shared_task(name="executions.scan_all_tenants", base=PlatformTask)
def scan_all_tenants(**_newer: object) -> None:
    """Find lost, expired and forgotten executions in every schema; one that fails stops no other.

    Tenants that are not open take no work: nothing of theirs is sent again.
    """
    now = database_now()
    give_chance = functools.cache(lambda: time.sleep(SECOND_LOOK_S))  # Once is enough for all.
    for tenant in list(Tenant.objects.order_by("schema_name")):
        try:
            with schema_context(tenant.schema_name):
                lifecycle.scan_executions(now, takes_work=tenant.is_open, give_chance=give_chance)
                hooks.scan_owners(now, is_open=tenant.is_open)
        except Exception:
            logger.exception("scan.schema_failed", scanned=tenant.schema_name)
            drop_dead_connections()


@shared_task(name="executions.sweep_files_of_all_tenants", base=PlatformTask)
def sweep_files_of_all_tenants(**_newer: object) -> None:
    """Remove files and logs whose time is over in every schema, also of tenants that are closed.

    What is not done in SWEEP_S is left to the next sweep, which begins with other tenants.
    """
    now, until = timezone.now(), time.monotonic() + SWEEP_S
    schemas = list(Tenant.objects.values_list("schema_name", flat=True))
    random.shuffle(schemas)
    for schema in schemas:
        if time.monotonic() > until:
            break
        try:
            with schema_context(schema):
                retention.sweep_files(now, until=until)
        except Exception:
            logger.exception("sweep.schema_failed", swept=schema)
            drop_dead_connections()
