"""Sending work to the workers, and the base of every task. Both are bound to a schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import redis
import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac
from django_tenants.utils import get_public_schema_name
from kombu.exceptions import OperationalError
from tenant_schemas_celery.app import get_schema_name_from_task
from tenant_schemas_celery.task import TenantTask as SchemaSwitchingTask

from .actor import current_schema
from .redis import client
from .request_context import current_request_id, request_id_scope

logger = structlog.get_logger(__name__)

ONE_MORE_TRY = {"max_retries": 1, "interval_start": 0.0, "interval_step": 0.1, "interval_max": 0.1}
"""How a message is sent: a request waits for it, so a broker that is down must be known at once."""


SEAL_HEADER = "_seal"


class NoTenant(Exception):
    """A task arrived without the schema it belongs to, for another one, or forged.

    It did nothing.
    """


def seal_of(task: str, schema: str, kwargs: Mapping[str, Any]) -> str:
    """Return what proves that this platform sent task for schema with these arguments.

    Whoever can write to the broker, but does not know the secret key, cannot make one.
    """
    message = json.dumps([task, schema, kwargs], sort_keys=True, default=str)
    return salted_hmac("execfabric.core.tasks", message, algorithm="sha256").hexdigest()


def sealed_headers(task: str, schema: str, kwargs: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of a message for schema.

    Only what the platform itself decides to send is sealed, in enqueue() and by beat's clock: what
    a message makes Celery send on (groups, callbacks) must not be.
    """
    return {
        "_schema_name": schema,
        "_request_id": current_request_id(),
        SEAL_HEADER: seal_of(task, schema, kwargs),
    }


class TenantTask(SchemaSwitchingTask):
    """A task of one schema: a tenant's, or the platform's own workspace.

    Refuses to run unless the message names a schema, the connection is on it, and the seal is ours.
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
        seal = self._header(SEAL_HEADER)
        if args or not constant_time_compare(seal, seal_of(self.name, schema, kwargs)):
            raise NoTenant(f"{self.name} was not sent by this platform; it did nothing.")
        with request_id_scope(self._header("_request_id")):
            return super().__call__(*args, **kwargs)

    def _header(self, name: str) -> str:
        """Return a header of the message; some brokers hand them over as part of the request."""
        headers = self.request.headers or {}
        return headers.get(name) or self.request.get(name) or ""


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
    headers = sealed_headers(name, current_schema(), kwargs)

    def send() -> None:
        try:
            current_app.send_task(name, kwargs=kwargs, headers=headers, retry_policy=ONE_MORE_TRY)
        except (OperationalError, redis.RedisError, OSError) as error:
            logger.warning("task.not_sent", task=name, error=str(error), arguments=kwargs)

    transaction.on_commit(send)


def waiting_tasks(queues: Sequence[str]) -> dict[str, int]:
    """Return how many tasks wait in each queue of Celery's. Raises redis.RedisError."""
    prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
    with client().pipeline(transaction=False) as commands:
        for queue in queues:
            commands.llen(f"{prefix}{queue}")
        return dict(zip(queues, commands.execute(), strict=True))
