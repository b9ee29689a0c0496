from __future__ import annotations

from datetime import timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.actor import current_schema
from execfabric.core.connections import drop_dead_connections
from execfabric.core.errors import Conflict
from execfabric.core.tasks import PlatformTask, TenantTask
from tenants.registry.models import Tenant

from .archiving import keep_trail
from .channels import channels
from .models import Upkeep
from .sending import copy_everywhere
from .services import note_failure, note_success

logger = structlog.get_logger(__name__)

ARCHIVE = "archive"
TRY_AGAIN_AFTER = timedelta(hours=1)


@shared_task(name="governance.archive_audit_trails", base=PlatformTask)
def archive_audit_trails(**_newer: object) -> None:
    """Archive what is due in every trail; one that fails stops no other, and is told."""
    schemas = Tenant.objects.order_by("schema_name").values_list("schema_name", flat=True)
    for schema in list(schemas):
        with schema_context(schema):
            _keep(days=None)


@shared_task(name="governance.archive_audit_trail", base=TenantTask)
def archive_audit_trail(*, days: int, **_newer: object) -> None:
    """Archive what is older than so many days in the trail of this schema, now."""
    _keep(days=days)


@shared_task(name="governance.copy_seals", base=PlatformTask)
def copy_seals(**_newer: object) -> None:
    """Hand over new seals to whoever keeps copies of them."""
    copy_everywhere(
        list(Tenant.objects.order_by("schema_name").values_list("schema_name", flat=True)),
        channels=channels(),
        addresses=settings.SEALS_EMAIL,
        mail_every=timedelta(hours=settings.SEALS_EMAIL_EVERY_H),
        now=timezone.now(),
    )


def _keep(*, days: int | None) -> None:
    now = timezone.now()
    schema = current_schema()
    reason = ""
    try:
        keep_trail(now, days=days)
    except Conflict:  # Another worker archives this trail just now, and is faster.
        logger.info("audit.archived_by_another", trail=schema)
    except Exception as error:
        logger.exception("audit.not_archived", trail=schema)
        reason = str(error) or type(error).__name__
        drop_dead_connections()
    with schema_context(get_public_schema_name()):
        upkeep = Upkeep.objects.filter(schema=schema, duty=ARCHIVE).first()
        if reason:
            upkeep = upkeep or Upkeep(schema=schema, duty=ARCHIVE)
            note_failure(upkeep, now=now, next_try_at=now + TRY_AGAIN_AFTER, reason=reason)
        elif upkeep is not None and upkeep.failing_since is not None:
            note_success(upkeep, now=now)
