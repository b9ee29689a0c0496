from __future__ import annotations

import contextlib
import time
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import structlog
from celery import shared_task
from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.connections import drop_dead_connections
from execfabric.core.errors import Conflict
from execfabric.core.storage import delete_empty_folders, delete_file, files_below
from execfabric.core.tasks import PlatformTask, enqueue
from skills.hot_update.publishing.claims import claimed

from . import erasing, exporting, lifecycle, services
from .models import TenantDeletion, TenantExport
from .states import AT_WORK, DeletionStatus, ExportStatus

logger = structlog.get_logger(__name__)

SLICE_S = 20.0
"""How long one task works; then it sends itself again, and others have their turn."""
FORGOTTEN_AFTER = timedelta(seconds=60)
"""After so long without a note the work is sent again: its worker died, or its message was lost."""
FILES_AT_ONCE = 500


@shared_task(name=services.WORK_ON_EXPORT, base=PlatformTask)
def work_on_export(*, export_id: str, **_newer: object) -> None:
    """Go on with an export for a while. A second delivery does nothing."""
    with claimed(f"export:{export_id}") as is_ours:
        goes_on = is_ours and exporting.work_on(export_id, until=time.monotonic() + SLICE_S)
    if goes_on:
        enqueue(services.WORK_ON_EXPORT, export_id=export_id)


@shared_task(name=services.WORK_ON_DELETION, base=PlatformTask)
def work_on_deletion(*, deletion_id: str, **_newer: object) -> None:
    """Go on with a deletion for a while. A second delivery does nothing."""
    with claimed(f"deletion:{deletion_id}") as is_ours:
        goes_on = is_ours and erasing.work_on(deletion_id, until=time.monotonic() + SLICE_S)
    if goes_on:
        enqueue(services.WORK_ON_DELETION, deletion_id=deletion_id)


@shared_task(name=services.CLEAR_EXPORT, base=PlatformTask)
def clear_export(*, export_id: str, **_newer: object) -> None:
    """Delete the files of an export that was removed."""
    export = TenantExport.objects.filter(
        pk=export_id, status=ExportStatus.REMOVED, cleared_at__isnull=True
    ).first()
    if export is None:
        return
    until = time.monotonic() + SLICE_S
    while names := list(islice(files_below(export.folder), FILES_AT_ONCE)):
        for name in names:
            delete_file(name)
        if time.monotonic() > until:
            enqueue(services.CLEAR_EXPORT, export_id=export_id)
            return
    delete_empty_folders(export.folder)
    lifecycle.note_cleared(export, timezone.now())


@shared_task(name="governance.scan_tenant_data", base=PlatformTask)
def scan_tenant_data(**_newer: object) -> None:
    """Begin deletions that are due, remove old exports, and send again what was forgotten."""
    now, actor = timezone.now(), Actor.system("scan")
    old = now - FORGOTTEN_AFTER
    try:
        due = TenantDeletion.objects.filter(status=DeletionStatus.SCHEDULED, due_at__lte=now)
        exported = TenantExport.objects.filter(status__in=AT_WORK).values("tenant_id")
        for deletion in due.exclude(tenant_id__in=exported):
            with contextlib.suppress(Conflict):  # Somebody was faster, or has cancelled it.
                services.begin_deletion(actor=actor, deletion=deletion, begun_at=now)
        for export in _exports_to_remove(now):
            with contextlib.suppress(Conflict):
                services.remove_export(actor=actor, export=export, removed_at=now)
        exports = TenantExport.objects.filter(touched_at__lt=old)
        for pk in _ids(exports.filter(status__in=AT_WORK)):
            enqueue(services.WORK_ON_EXPORT, export_id=pk)
        for pk in _ids(exports.filter(status=ExportStatus.REMOVED, cleared_at__isnull=True)):
            enqueue(services.CLEAR_EXPORT, export_id=pk)
        deletions = TenantDeletion.objects.filter(touched_at__lt=old)
        for pk in _ids(deletions.filter(status=DeletionStatus.RUNNING)):
            enqueue(services.WORK_ON_DELETION, deletion_id=pk)
    except Exception:
        logger.exception("scan.tenant_data_failed")
        drop_dead_connections()


def _exports_to_remove(now: datetime) -> QuerySet[TenantExport]:
    """Return those whose time is over. One that failed and was left alone holds copies, too."""
    left_alone = now - timedelta(days=settings.EXPORTS_KEPT_DAYS)
    return TenantExport.objects.filter(
        Q(status=ExportStatus.DONE, expires_at__lte=now)
        | Q(status=ExportStatus.FAILED, touched_at__lte=left_alone)
    )


def _ids(rows: QuerySet[Any]) -> list[str]:
    return [str(pk) for pk in rows.values_list("pk", flat=True)]
