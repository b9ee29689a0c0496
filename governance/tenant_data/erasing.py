"""Deleting a tenant, step by step: what is gone is noted, so work goes on after any end."""

from __future__ import annotations

import time
from itertools import islice
from uuid import UUID

import redis
import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor
from execfabric.core.cache import forget_schema
from execfabric.core.errors import InvalidTransition, NotFound
from execfabric.core.storage import delete_empty_folders, delete_file, files_below, size_of
from skills.catalogue.workspace import remove_workspace
from tenants.registry.erasing.services import erase_tenant
from tenants.registry.models import Tenant

from . import lifecycle, services
from .failures import TakenOver, reason_of
from .models import TenantDeletion
from .states import DeletionStage, DeletionStatus

logger = structlog.get_logger(__name__)

FILES_AT_ONCE = 200


def work_on(deletion_id: UUID | str, *, until: float) -> bool:
    """Delete until the time is up (monotonic); return whether there is more to do.

    Errors are treated as those of an export (exporting.work_on).
    """
    deletion = TenantDeletion.objects.filter(pk=deletion_id, status=DeletionStatus.RUNNING).first()
    if deletion is None:
        return False
    actor = Actor.system("tenant_data")
    try:
        if deletion.stage == DeletionStage.SCHEMA:
            deletion = _erase(actor, deletion)
        while time.monotonic() < until:
            deletion, is_over = _delete_some_files(deletion)
            if is_over:
                _tidy(deletion)
                services.finish_deletion(actor=actor, deletion=deletion, finished_at=timezone.now())
                return False
        return True
    except (OperationalError, InterfaceError, redis.RedisError) as error:
        if lifecycle.note_break(deletion) <= lifecycle.MOST_BREAKS:
            raise
        _fail(actor, deletion, error)
    except (TakenOver, InvalidTransition):
        logger.info("deletion.taken_over", deletion=str(deletion.pk))
    except Exception as error:
        logger.exception("deletion.failed", deletion=str(deletion.pk))
        _fail(actor, deletion, error)
    return False


def _fail(actor: Actor, deletion: TenantDeletion, error: Exception) -> None:
    reason = reason_of(error)
    services.fail_deletion(actor=actor, deletion=deletion, reason=reason, failed_at=timezone.now())


def _erase(actor: Actor, deletion: TenantDeletion) -> TenantDeletion:
    """Delete rows, schema and role in one transaction, and note it in the same."""
    with transaction.atomic():
        lifecycle.lock_erasure(deletion)
        tenant = Tenant.objects.get(pk=deletion.tenant_id)
        erase_tenant(actor=actor, tenant=tenant, erased_at=timezone.now())
        return lifecycle.note_erased(deletion, timezone.now())


def _delete_some_files(deletion: TenantDeletion) -> tuple[TenantDeletion, bool]:
    """Delete the next stored files of a schema that is gone; return whether there were none."""
    with schema_context(deletion.schema_name):  # Sends no statement: nobody could enter it.
        names = list(islice(files_below(), FILES_AT_ONCE))
        size = 0
        for name in names:
            try:
                size += size_of(name)
            except NotFound:
                continue
            delete_file(name)
    if not names:
        return deletion, True
    noted = lifecycle.note_files_gone(
        deletion, files=len(names), size_bytes=size, now=timezone.now()
    )
    return noted, False


def _tidy(deletion: TenantDeletion) -> None:
    """Remove empty folders, the scripts on this host's disk, and what is cached of the tenant."""
    forget_schema(deletion.schema_name)
    with schema_context(deletion.schema_name):
        delete_empty_folders()
        remove_workspace()
