"""Sending work to the workers, and the base of every task. Both are bound to a schema."""

from __future__ import annotations

from typing import Any

from celery import current_app
from django.db import transaction
from django_tenants.utils import get_public_schema_name
from tenant_schemas_celery.app import get_schema_name_from_task
from tenant_schemas_celery.task import TenantTask as SchemaSwitchingTask

from .actor import current_schema
from .request_context import current_request_id, request_id_scope


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

    The schema is read now, not at commit: the caller may have left it by then.
    """
    headers = {"_schema_name": current_schema(), "_request_id": current_request_id()}
    transaction.on_commit(lambda: current_app.send_task(name, kwargs=kwargs, headers=headers))
