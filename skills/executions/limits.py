"""How many runs may go on at once: of a skill, by its version, and of the whole tenant.

Exact, since those who count do so one after another. Tenants and skills without a limit never come
here.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from execfabric.core import statements
from execfabric.core.actor import current_schema
from tenants.registry.models import OPEN_STATUSES, Tenant

from .models import Execution
from .moves import send_executions
from .states import Status


def tenant_is_open() -> bool:
    """Return whether the tenant of the schema at hand takes work, asked of the database."""
    return Tenant.objects.filter(schema_name=current_schema(), status__in=OPEN_STATUSES).exists()


def apply_to(execution_id: UUID) -> bool:
    """Return whether there is any limit that an execution has to keep."""
    of_tenant = Tenant.objects.filter(schema_name=current_schema(), concurrency__isnull=False)
    execution = Execution.objects.filter(pk=execution_id, version__concurrency__isnull=False)
    return of_tenant.exists() or execution.exists()


def lock() -> None:
    """Wait until nobody else counts the runs of this tenant; held until the transaction ends."""
    statements.send(_LOCK, [])


_LOCK = """
    INSERT INTO executions_turnstile (id) VALUES (1)
    ON CONFLICT (id) DO UPDATE SET id = excluded.id
"""


def hold_if_reached(execution_id: UUID) -> bool:
    """Put a queued execution on hold where a limit is reached; return whether it was."""
    execution = Execution.objects.select_related("version").get(pk=execution_id)
    running = Execution.objects.filter(status=Status.RUNNING)
    of_skill = execution.version.concurrency
    of_tenant = Tenant.objects.values_list("concurrency", flat=True).get(
        schema_name=current_schema()
    )
    reached = (
        of_skill is not None and running.filter(skill_id=execution.skill_id).count() >= of_skill
    ) or (of_tenant is not None and running.count() >= of_tenant)
    if reached:
        _queued().filter(pk=execution_id).update(sent_at=None)
    return reached


def let_next_go(ended: Execution) -> None:
    """Send what a run that has ended may have held back: the oldest of its skill, and of others.

    Of each other skill one, since some of them may be at a limit of their own.
    """
    with transaction.atomic():
        lock()
        held = list(_queued().filter(sent_at=None).order_by("skill_id", "id").distinct("skill_id"))
        if held:
            send_executions(sorted(held, key=lambda one: one.skill_id != ended.skill_id))


def _queued() -> QuerySet[Execution]:
    return Execution.objects.filter(status=Status.QUEUED)
