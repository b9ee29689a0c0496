"""Sending work to the workers, and the base of every task. Both are bound to a schema."""

from __future__ import annotations

from typing import Any

import redis
import structlog
from celery import current_app
from django.db import transaction
from django_tenants.utils import get_public_schema_name
from kombu.exceptions import OperationalError
from tenant_schemas_celery.app import get_schema_name_from_task
from tenant_schemas_celery.task import TenantTask as SchemaSwitchingTask

from .actor import current_schema
from .request_context import current_request_id, request_id_scope

logger = structlog.get_logger(__name__)

ONE_MORE_TRY = {"max_retries": 1, "interval_start": 0.0, "interval_step": 0.1, "interval_max": 0.1}
"""How a message is sent: a request waits for it, so a broker that is down must be known at once."""


class NoTenant(Exception):
    """A task arrived without the schema it belongs to, or for another one; it did nothing."""


class TenantTask(SchemaSwitchingTask):
    """A task of one schema: a tenant's, or the platform's own workspace.

    Refuses to run unless the message names a schema and the connection is on it.
    """

    abstract = True
    acks_late = True
    ignore_result = True
    platform_only = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        schema = get_schema_name_from_task(self, kwargs)
        misdirected = self.platform_only and schema != get_public_schema_name()
        if not schema or schema != current_schema() or misdirected:
            raise NoTenant(f"{self.name} was sent without a schema it may run in; it did nothing.")
        headers = self.request.headers or {}
        with request_id_scope(headers.get("_request_id") or self.request.get("_request_id") or ""):
            return super().__call__(*args, **kwargs)


class PlatformTask(TenantTask):
    """A task of the platform, such as a scan over all tenants; runs in the public schema only."""

    abstract = True
    platform_only = True


def enqueue(name: str, /, **kwargs: Any) -> None:
    """Send the task ``name`` for the current schema once the transaction at hand has committed.

    The schema is read now, not at commit: the caller may have left it by then. A broker that cannot
    be reached is logged and no error: what the task is about is stored, and whoever owns such tasks
    scans for what was never done and sends it again.
    """
    headers = {"_schema_name": current_schema(), "_request_id": current_request_id()}

    def send() -> None:
        try:
            current_app.send_task(name, kwargs=kwargs, headers=headers, retry_policy=ONE_MORE_TRY)
        except (OperationalError, redis.RedisError, OSError) as error:
            logger.warning("task.not_sent", task=name, error=str(error), arguments=kwargs)

    transaction.on_commit(send)
