from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from datetime import datetime

import structlog
from celery import shared_task
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor
from execfabric.core.connections import drop_dead_connections
from execfabric.core.statements import database_now
from execfabric.core.tasks import PlatformTask
from tenants.registry.models import Tenant

from . import hooks, queue, retention, scanning
from .approvals.reminding import overdue
from .approvals.services import remind
from .heartbeat import BEAT_S

logger = structlog.get_logger(__name__)

SECOND_LOOK_S = 2.5 * BEAT_S
"""How long workers have for their leases before a scan takes them for dead."""

SWEEP_S = 5.0
"""How long a sweep of files begins new steps: the other scans wait for it."""


@shared_task(name="executions.scan_all_tenants", base=PlatformTask)
def scan_all_tenants(**_newer: object) -> None:
    """Find lost, expired and forgotten executions in every schema; one that fails stops no other.

    Tenants that are not open take no work: nothing of theirs is sent again. Nor is anything while
    the queue is away: one that does not answer is asked once in a scan.
    """
    give_chance = functools.cache(lambda: time.sleep(SECOND_LOOK_S))  # Once is enough for all.
    queue_answers = queue.answers()

    def scan(tenant: Tenant, now: datetime) -> None:
        takes_work = tenant.is_open and queue_answers
        scanning.scan_executions(now, takes_work=takes_work, give_chance=give_chance)
        hooks.scan_owners(now, is_open=tenant.is_open)

    _in_every_schema(scan, now=database_now)


@shared_task(name="executions.remind_all_tenants", base=PlatformTask)
def remind_all_tenants(**_newer: object) -> None:
    """In open tenants: remind, once, those whom a request waits for too long."""
    _in_every_schema(
        lambda tenant, now: remind_overdue(now) if tenant.is_open else None, now=timezone.now
    )


def remind_overdue(now: datetime) -> None:
    """In the current schema: remind of what is overdue. One that fails keeps back no other."""
    for execution in overdue(now):
        with scanning.on_its_own(execution):
            remind(actor=Actor.system("scan"), execution=execution, reminded_at=now)


def _in_every_schema(
    scan: Callable[[Tenant, datetime], None], *, now: Callable[[], datetime]
) -> None:
    for tenant in list(Tenant.objects.order_by("schema_name")):
        try:
            with schema_context(tenant.schema_name):
                scan(tenant, now())
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
