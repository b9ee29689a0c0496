"""What goes with a tenant that is deleted, beside its schema and its files."""

from __future__ import annotations

import redis
import structlog
from django.db import transaction

from tenants.registry.models import Tenant

from . import queue

logger = structlog.get_logger(__name__)


def forget_tenant(tenant: Tenant) -> None:
    """Empty the tenant's queues once it is gone. What a queue still holds would claim nothing."""
    schema = tenant.schema_name

    def forget() -> None:
        try:
            queue.forget(schema)
        except redis.RedisError as error:
            logger.warning("queue.not_emptied", error=str(error))

    transaction.on_commit(forget)
