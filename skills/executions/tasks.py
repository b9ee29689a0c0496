from __future__ import annotations

from celery import shared_task
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.tasks import PlatformTask, TenantTask
from tenants.registry.selectors import open_schemas

from . import lifecycle, running


@shared_task(name="executions.run_execution", base=TenantTask)
def run_execution(*, execution_id: str, **_newer: object) -> None:
    """Run one queued execution. A second delivery does nothing."""
    running.run_execution(execution_id)


@shared_task(name="executions.scan_all_tenants", base=PlatformTask)
def scan_all_tenants(**_newer: object) -> None:
    """Find lost, expired and forgotten executions in every open schema."""
    now = timezone.now()
    for schema in open_schemas():
        with schema_context(schema):
            lifecycle.scan_executions(now)
