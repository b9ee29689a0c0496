from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from execfabric.core.sealing.seals import Signer
from execfabric.core.sealing_state import SealingState, remember
from execfabric.core.tasks import PlatformTask
from tenants.registry.models import Tenant

from .audit.alarms import troubles
from .audit.sealing import seal_schemas

logger = structlog.get_logger(__name__)


@shared_task(name="governance.seal_audit_trails", base=PlatformTask)
def seal_audit_trails(**_newer: object) -> None:
    """Seal the audit trail of every schema, also of tenants that are closed, and copy the seals."""
    now = timezone.now()
    if not settings.AUDIT_KEY:
        logger.error("audit.no_key", hint="Set EXECFABRIC_AUDIT_KEY for the clock.")
        remember(SealingState(at=now, has_key=False))
        return
    state = seal_schemas(
        list(Tenant.objects.order_by("schema_name").values_list("schema_name", flat=True)),
        signer=Signer(settings.AUDIT_KEY),
        folder=settings.SEALS_DIR,
        now=now,
        everywhere=_is_first_look(),
    )
    state.troubles = troubles(now)
    remember(state)


@functools.cache
def _looks() -> Iterator[int]:
    return itertools.count()


def _is_first_look() -> bool:
    """Return True once: then what a restored database brought is looked for, too."""
    return next(_looks()) == 0
