from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from execfabric.core.states import Transitions


class ExportStatus(models.TextChoices):
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    FAILED = "failed", _("Failed")
    DONE = "done", _("Done")
    REMOVED = "removed", _("Removed")


AT_WORK = frozenset({ExportStatus.QUEUED, ExportStatus.RUNNING})
"""A worker makes it, or will: of one tenant there is one such export at most."""

EXPORT_TRANSITIONS: Transitions = {
    ExportStatus.QUEUED: frozenset({ExportStatus.RUNNING, ExportStatus.FAILED}),
    ExportStatus.RUNNING: frozenset({ExportStatus.DONE, ExportStatus.FAILED}),
    ExportStatus.FAILED: frozenset({ExportStatus.QUEUED, ExportStatus.REMOVED}),
    ExportStatus.DONE: frozenset({ExportStatus.REMOVED}),
    ExportStatus.REMOVED: frozenset(),
}


class ExportStage(models.TextChoices):
    ROWS = "rows", _("Rows")
    FILES = "files", _("Files")
    TRAIL = "trail", _("Audit trail")
    MANIFEST = "manifest", _("Manifest")


class DeletionStatus(models.TextChoices):
    SCHEDULED = "scheduled", _("Scheduled")
    RUNNING = "running", _("Running")
    FAILED = "failed", _("Failed")
    DONE = "done", _("Done")
    CANCELLED = "cancelled", _("Cancelled")


DELETION_TRANSITIONS: Transitions = {
    DeletionStatus.SCHEDULED: frozenset({DeletionStatus.RUNNING, DeletionStatus.CANCELLED}),
    DeletionStatus.RUNNING: frozenset({DeletionStatus.DONE, DeletionStatus.FAILED}),
    # Cancelled only while its schema is still there (services.cancel_deletion).
    DeletionStatus.FAILED: frozenset({DeletionStatus.RUNNING, DeletionStatus.CANCELLED}),
    DeletionStatus.DONE: frozenset(),
    DeletionStatus.CANCELLED: frozenset(),
}


class DeletionStage(models.TextChoices):
    SCHEMA = "schema", _("Rows, schema and role")
    FILES = "files", _("Stored files")
    OVER = "over", _("Over")
