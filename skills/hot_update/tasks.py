from __future__ import annotations

from datetime import timedelta

import structlog
from celery import shared_task
from django.core.cache import cache
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.connections import drop_dead_connections
from execfabric.core.tasks import PlatformTask, TenantTask, enqueue
from tenants.registry.models import Tenant

from . import checking, sweeping
from .models import Revision
from .states import SubmissionStatus

logger = structlog.get_logger(__name__)

FORGOTTEN_AFTER = timedelta(minutes=2)
"""How long a submission may wait for a worker before its task is sent again."""


@shared_task(name="hot_update.check_revision", base=TenantTask)
def check_revision(*, revision_id: str, **_newer: object) -> None:
    """Check a submitted revision. A second delivery does nothing."""
    checking.check_revision(revision_id)


@shared_task(name="hot_update.scan_forgotten", base=PlatformTask)
def scan_forgotten(**_newer: object) -> None:
    """Send the checks of what still waits for them again, where no worker has begun."""
    waiting = Revision.objects.select_related("submission__tenant").filter(
        submission__status=SubmissionStatus.CHECKING,
        submission__changed_at__lt=timezone.now() - FORGOTTEN_AFTER,
    )
    latest = waiting.order_by("submission_id", "-number").distinct("submission_id")
    for revision in list(latest):
        tenant = revision.submission.tenant
        if not tenant.is_open:
            continue
        with schema_context(tenant.schema_name):
            if not cache.get(checking.claim_of(revision.pk)):
                enqueue("hot_update.check_revision", revision_id=str(revision.pk))


@shared_task(name="hot_update.sweep_bundles", base=PlatformTask)
def sweep_bundles(**_newer: object) -> None:
    """Remove stored script files that nobody submitted, in every schema."""
    now = timezone.now()
    for tenant in list(Tenant.objects.order_by("schema_name")):
        submitted = Revision.objects.filter(submission__tenant=tenant)
        try:
            names = set(submitted.values_list("stored_as", flat=True))
            with schema_context(tenant.schema_name):
                sweeping.sweep_bundles(names, now)
        except Exception:
            logger.exception("sweep.schema_failed", swept=tenant.schema_name)
            drop_dead_connections()
