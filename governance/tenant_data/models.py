"""Exports and deletions. They name the tenant in words: it may be gone."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from execfabric.core.ids import uuid7

from .states import AT_WORK, DeletionStage, DeletionStatus, ExportStage, ExportStatus


class OfTenant(models.Model):
    """The tenant that something was done to, as it was then."""

    tenant_id = models.BigIntegerField(db_index=True)
    schema_name = models.CharField(max_length=63)
    number = models.PositiveIntegerField(null=True)
    name = models.CharField(max_length=40)
    title = models.CharField(max_length=100)

    class Meta:
        abstract = True


class TenantExport(OfTenant):
    """A copy of everything that belongs to one tenant (docs/reference/tenant-export.md)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    status = models.CharField(max_length=10, choices=ExportStatus, default=ExportStatus.QUEUED)
    stage = models.CharField(max_length=10, choices=ExportStage, default=ExportStage.ROWS)
    cursor = models.JSONField(default=dict)
    """Where the stage goes on (exporting.py)."""
    facts = models.JSONField(default=dict)
    """What is known about the tenant and its tables, for the manifest."""
    rows_done = models.PositiveBigIntegerField(default=0)
    files_done = models.PositiveBigIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    share_done = models.FloatField(default=0)
    """Between 0 and 1, for the progress bar."""
    reason = models.TextField()
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    touched_at = models.DateTimeField()
    """When work on it was last noted."""
    turn = models.PositiveIntegerField(default=0)
    """Counts who took up the work. Only the last one may note anything, whatever others believe."""
    breaks = models.PositiveSmallIntegerField(default=0)
    """How often in a row the database or Redis broke off the work."""
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    cleared_at = models.DateTimeField(null=True)
    """When the files of a removed export were gone."""

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["schema_name"],
                name="tenant_export_one_at_a_time",
                condition=Q(status__in=[ExportStatus.QUEUED, ExportStatus.RUNNING]),
            )
        ]

    def __str__(self) -> str:
        return f"export of {self.name}"

    @property
    def is_at_work(self) -> bool:
        return self.status in AT_WORK

    @property
    def folder(self) -> str:
        """Where its files lie, in the platform's storage, and what work that was refused left."""
        return f"exports/{self.pk}"

    @property
    def own_folder(self) -> str:
        """Where whoever holds this turn writes, and nobody else; manifest and sums of a whole
        export lie in that of the turn which finished it."""
        return self.folder_of(self.turn)

    def folder_of(self, turn: int) -> str:
        """Return where the files of a turn lie; before turns were counted they lay in one place."""
        return f"{self.folder}/{turn}" if turn else self.folder


class ExportedFile(models.Model):
    """One file of an export."""

    export = models.ForeignKey(TenantExport, on_delete=models.CASCADE, related_name="files")
    path = models.CharField(max_length=400)
    """Within the export; '/'-separated."""
    turn = models.PositiveIntegerField(default=0)
    """In which turn it was written: it lies in the folder of that."""
    size_bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["export", "path"], name="exported_file_once")
        ]

    def __str__(self) -> str:
        return self.path


class TenantDeletion(OfTenant):
    """That a closed tenant is to be deleted, and how far that is."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    status = models.CharField(
        max_length=10, choices=DeletionStatus, default=DeletionStatus.SCHEDULED
    )
    stage = models.CharField(max_length=10, choices=DeletionStage, default=DeletionStage.SCHEMA)
    reason = models.TextField()
    requested_by = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    due_at = models.DateTimeField()
    cancelled_by = models.CharField(max_length=150, blank=True)
    cancelled_at = models.DateTimeField(null=True)
    touched_at = models.DateTimeField()
    breaks = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    files_done = models.PositiveBigIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["schema_name"],
                name="tenant_deletion_one_at_a_time",
                condition=Q(
                    status__in=[
                        DeletionStatus.SCHEDULED,
                        DeletionStatus.RUNNING,
                        DeletionStatus.FAILED,
                    ]
                ),
            )
        ]

    def __str__(self) -> str:
        return f"deletion of {self.name}"

    @property
    def may_be_cancelled(self) -> bool:
        """Whether nothing was deleted yet."""
        waits = self.status in {DeletionStatus.SCHEDULED, DeletionStatus.FAILED}
        return waits and self.stage == DeletionStage.SCHEMA
