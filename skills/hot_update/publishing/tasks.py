from __future__ import annotations

from datetime import timedelta

import structlog
from celery import shared_task
from django.utils import timezone

from execfabric.core.connections import drop_dead_connections
from execfabric.core.tasks import PlatformTask, enqueue

from ..models import Revision
from ..reviewing.locking import is_due
from ..reviewing.locking import lock_revision as lock
from ..states import SubmissionStatus
from .carrying_out import publish_revision as publish
from .claims import claimed
from .services import PUBLISH

logger = structlog.get_logger(__name__)

FORGOTTEN_AFTER = timedelta(seconds=20)


@shared_task(name=PUBLISH, base=PlatformTask)
def publish_revision(*, revision_id: str, **_newer: object) -> None:
    """Publish an approved revision, or go on with it. A second delivery does nothing."""
    publish(revision_id)


@shared_task(name="hot_update.lock_revision", base=PlatformTask)
def lock_revision(*, revision_id: str, **_newer: object) -> None:
    """Lock the packages of a revision that is in review, so that a reviewer sees them."""
    with claimed(f"locking:{revision_id}") as is_ours:
        revision = (
            Revision.objects.select_related("submission__tenant")
            .filter(pk=revision_id, submission__status=SubmissionStatus.IN_REVIEW)
            .first()
        )
        if is_ours and revision is not None:
            lock(revision)


@shared_task(name="hot_update.scan_publications", base=PlatformTask)
def scan_publications(**_newer: object) -> None:
    """Send again what a killed worker or a lost message left: publications, and locks to make."""
    try:
        old = timezone.now() - FORGOTTEN_AFTER
        revisions = Revision.objects.order_by("submission_id", "-number").distinct("submission_id")
        publishing = revisions.filter(
            submission__status=SubmissionStatus.PUBLISHING, submission__changed_at__lt=old
        )
        for pk in publishing.values_list("pk", flat=True):
            enqueue(PUBLISH, revision_id=str(pk))
        for pk, known in revisions.filter(
            submission__status=SubmissionStatus.IN_REVIEW
        ).values_list("pk", "lock"):
            if is_due(known, timezone.now()):
                enqueue("hot_update.lock_revision", revision_id=str(pk))
    except Exception:
        logger.exception("scan.publications_failed")
        drop_dead_connections()
