from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import F, Q

from execfabric.core.fields import OrderedJSONField
from execfabric.core.ids import uuid7
from skills.catalogue.models import Skill, SkillVersion
from skills.executions.models import Execution, StoredFile
from tenants.accounts.models import Account

from .states import FINAL, WAITING, BatchStatus, RowStatus


class BatchKind(models.TextChoices):
    ROWS = "rows", "The rows of a file"
    FILES = "files", "One file for each row"


class Batch(models.Model):
    """Many executions of one skill version, over the rows of a file or over many files.

    Each row is in exactly one of the six counters, which are kept by those who move rows, so that
    nobody has to count the rows.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, related_name="batches")
    version = models.ForeignKey(SkillVersion, on_delete=models.PROTECT, related_name="batches")
    requested_by = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="batches")
    door = models.CharField(max_length=10)
    request_id = models.CharField(max_length=64)
    idempotency_key = models.CharField(max_length=100, null=True)
    asked_digest = models.CharField(max_length=64, blank=True, db_default="")
    """sha256 of files, mapping and inputs as they were asked for; empty in those of earlier
    releases, where the key alone counts."""
    name = models.CharField(max_length=255)
    """Of the file the rows came from, or how many files."""
    kind = models.CharField(max_length=5, choices=BatchKind)
    source = models.ForeignKey(StoredFile, on_delete=models.SET_NULL, null=True)
    """The file of rows, while it is kept."""
    columns = models.JSONField(default=list)
    """Names of the columns of the file, in its order."""
    mapping = OrderedJSONField(default=dict)
    """Input name -> name of the column it is filled from."""
    inputs = OrderedJSONField(default=dict)
    """Inputs that are the same for each row; what a row says itself wins."""
    status = models.CharField(max_length=25, choices=BatchStatus)

    total_rows = models.PositiveIntegerField()
    invalid_rows = models.PositiveIntegerField()
    waiting_rows = models.PositiveIntegerField()
    sent_rows = models.PositiveIntegerField(default=0)
    """Handed to the workers and not over."""
    succeeded_rows = models.PositiveIntegerField(default=0)
    failed_rows = models.PositiveIntegerField(default=0)
    cancelled_rows = models.PositiveIntegerField(default=0)

    window_rows = models.PositiveIntegerField(default=0)
    """How many rows were to be with the workers at the last release."""
    released_at = models.DateTimeField(null=True)
    over_at_release = models.PositiveIntegerField(default=0)
    """How many rows were over then."""
    held_because = models.TextField(blank=True)
    """Why the platform paused it; empty when a person did."""

    confirmed_by = models.ForeignKey(
        Account, on_delete=models.PROTECT, null=True, related_name="confirmed_batches"
    )
    approved_by = models.ForeignKey(
        Account, on_delete=models.PROTECT, null=True, related_name="approved_batches"
    )
    rejected_by = models.ForeignKey(
        Account, on_delete=models.PROTECT, null=True, related_name="rejected_batches"
    )
    rejection = models.TextField(blank=True)
    created_at = models.DateTimeField()
    asked_at = models.DateTimeField()
    """When a decision was last asked for; before, when the draft was made."""
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "batches"
        indexes = [
            models.Index(fields=["requested_by", "-id"], name="batch_own"),
            models.Index(
                fields=["status"],
                name="batch_open",
                condition=~Q(status__in=sorted(FINAL)),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["requested_by", "idempotency_key"], name="batch_idempotency"
            ),
            models.CheckConstraint(
                name="batch_rows_add_up",
                condition=Q(
                    total_rows=F("invalid_rows")
                    + F("waiting_rows")
                    + F("sent_rows")
                    + F("succeeded_rows")
                    + F("failed_rows")
                    + F("cancelled_rows")
                ),
            ),
            models.CheckConstraint(
                name="batch_finished_iff_final",
                condition=(
                    Q(status__in=sorted(FINAL), finished_at__isnull=False)
                    | ~Q(status__in=sorted(FINAL)) & Q(finished_at__isnull=True)
                ),
            ),
            models.CheckConstraint(
                name="batch_approver_is_another",
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("requested_by")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.skill})"

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def awaits_a_person(self) -> bool:
        """Whether it does not go on by itself: somebody decides, or starts it."""
        return self.status in WAITING or self.status in {BatchStatus.DRAFT, BatchStatus.PAUSED}

    @property
    def awaits_confirmation(self) -> bool:
        return self.status == BatchStatus.AWAITING_CONFIRMATION

    @property
    def valid_rows(self) -> int:
        return self.total_rows - self.invalid_rows

    @property
    def over_rows(self) -> int:
        return self.succeeded_rows + self.failed_rows + self.cancelled_rows

    @property
    def fraction(self) -> float:
        """The part of the rows that can run that is over, 0 to 1."""
        return self.over_rows / self.valid_rows if self.valid_rows else 0.0

    @property
    def topic(self) -> str:
        """Where changes of this batch are announced (execfabric.core.wake)."""
        return f"batch:{self.pk}"


class BatchRow(models.Model):
    """One row of a batch, and the execution it became."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="rows", db_index=False)
    number = models.PositiveIntegerField()
    """As the file's reader counts: the line of a table with its header as 1; else from 1 on."""
    status = models.CharField(max_length=10, choices=RowStatus)
    inputs = OrderedJSONField()
    """Checked inputs with defaults; of a row with errors what it says, shortened."""
    errors = models.JSONField(null=True)
    """Input name -> what is wrong with it; "row" where it is the row as a whole."""
    execution = models.OneToOneField(
        Execution, on_delete=models.PROTECT, null=True, related_name="batch_row"
    )
    """The last one; after a retry it names the one before."""

    class Meta:
        ordering = ["number"]
        indexes = [models.Index(fields=["batch", "status", "number"], name="batch_row_status")]
        constraints = [
            models.UniqueConstraint(fields=["batch", "number"], name="batch_row_number"),
            models.CheckConstraint(
                name="batch_row_errors_iff_invalid",
                condition=(
                    Q(status=RowStatus.INVALID, errors__isnull=False)
                    | ~Q(status=RowStatus.INVALID) & Q(errors__isnull=True)
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id} row {self.number}"


class BatchApproval(models.Model):
    """One person's yes to a batch as it was asked for. Neither changed nor taken back."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="approvals")
    asked_at = models.DateTimeField()
    """The batch's then: a retry is asked for anew, and earlier words do not count for it."""
    requester = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    """Of the batch; here too, so that the database itself keeps the two apart."""
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="batch_approvals")
    authority = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    """Whose right was used: the account's own, or that of who delegated it."""
    door = models.CharField(max_length=10)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "asked_at", "account"], name="batch_approved_once"
            ),
            models.UniqueConstraint(
                fields=["batch", "asked_at", "authority"], name="batch_right_used_once"
            ),
            models.CheckConstraint(
                name="batch_not_approved_by_requester",
                condition=~Q(account=F("requester")) & ~Q(authority=F("requester")),
            ),
        ]
        triggers = [pgtrigger.Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.batch_id} approved by {self.account_id}"

    @property
    def is_delegated(self) -> bool:
        return self.authority_id != self.account_id
