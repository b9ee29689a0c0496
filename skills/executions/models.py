from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

import pgtrigger
from django.db import models
from django.db.models import Q

from execfabric.core.fields import OrderedJSONField
from execfabric.core.ids import uuid7
from skills.catalogue.models import Skill, SkillVersion
from tenants.accounts.models import Account

from .approvals.models import ApprovalRules as ApprovalRules
from .approvals.models import Consent as Consent
from .approvals.models import Delegation as Delegation
from .approvals.models import RunGrant as RunGrant
from .states import FINAL, WAITING, Status

MARKS = re.compile("([\x0e\x0f])")


class Execution(models.Model):
    """One governed run of one skill version by one actor."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, related_name="executions")
    version = models.ForeignKey(SkillVersion, on_delete=models.PROTECT, related_name="executions")
    requested_by = models.ForeignKey(
        Account, on_delete=models.PROTECT, null=True, related_name="executions", db_index=False
    )
    door = models.CharField(max_length=10)
    request_id = models.CharField(max_length=64)
    idempotency_key = models.CharField(max_length=100, null=True)
    retry_of = models.ForeignKey("self", on_delete=models.PROTECT, null=True, db_index=False)
    attempt = models.PositiveSmallIntegerField(default=0)
    """How many lost ones in a row the platform itself has started again before this one."""
    retried_as = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    """What the platform itself has started in place of this one, which was lost."""
    inputs = OrderedJSONField()
    """Validated inputs, defaults filled in; a file input holds ids of StoredFile."""
    inputs_digest = models.CharField(max_length=64)
    """sha256 of the inputs as canonical JSON, hexadecimal."""
    reason = models.TextField(blank=True)
    """Why it is asked for, in the requester's words; approvers read it."""
    mode = models.CharField(max_length=10, blank=True)
    """What the policy demanded when it was asked for (policy.Mode); only "auto" may start without
    a grant."""
    policy_version = models.CharField(max_length=40, blank=True)
    """Under which rules that was decided."""
    reminded_at = models.DateTimeField(null=True)
    """When those who can let it go on were reminded; that happens once."""
    status = models.CharField(max_length=25, choices=Status)
    confirmed_by = models.ForeignKey(
        Account,
        on_delete=models.PROTECT,
        null=True,
        related_name="confirmed_executions",
        db_index=False,
    )
    approved_by = models.ForeignKey(
        Account,
        on_delete=models.PROTECT,
        null=True,
        related_name="approved_executions",
        db_index=False,
    )
    rejected_by = models.ForeignKey(
        Account,
        on_delete=models.PROTECT,
        null=True,
        related_name="rejected_executions",
        db_index=False,
    )
    rejection = models.TextField(blank=True)

    lease_token = models.UUIDField(null=True)
    """Held by the one worker that may finish this run; a finish with another one is refused."""
    lease_expires_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, blank=True)
    cancel_requested_at = models.DateTimeField(null=True)
    progress_fraction = models.FloatField(null=True)
    progress_message = models.CharField(max_length=200, blank=True)

    stop_reason = models.CharField(max_length=30, blank=True)
    exit_code = models.IntegerField(null=True)
    output = OrderedJSONField(null=True)
    summary = models.TextField(blank=True)
    error = models.TextField(blank=True)
    skipped_artifacts = models.JSONField(default=list)
    log_bytes_dropped = models.PositiveBigIntegerField(default=0)
    wall_s = models.FloatField(null=True)
    cpu_s = models.FloatField(null=True)
    peak_memory_bytes = models.PositiveBigIntegerField(null=True)

    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    """When the run was last handed to the queue; None while it waits for a person, or for another
    run to end (limits.py). In the future: a retry that pauses until soon after (retries.py)."""
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    files_removed_at = models.DateTimeField(null=True)
    """When retention removed the content of its artifacts and inputs, and its log."""

    found_as_seen: tuple[object, ...] = ()
    """What the statement that stored it has found to be so: ``actor.as_seen`` of who asked."""
    is_limited = False
    """Whether concurrency limits applied when a worker claimed it; known to that worker only."""

    class Meta:
        ordering = ["-id"]
        # Each change of a row is paid for in every index that has it, so those of columns that most
        # rows leave empty have only the rows that do not.
        indexes = [
            *(
                models.Index(
                    fields=[name],
                    name=f"execution_{name}",
                    condition=Q(**{f"{name}__isnull": False}),
                )
                for name in ("retry_of", "confirmed_by", "approved_by", "rejected_by")
            ),
            models.Index(
                fields=["finished_at"],
                name="execution_with_files",
                condition=Q(finished_at__isnull=False, files_removed_at__isnull=True),
            ),
            models.Index(fields=["requested_by", "-id"], name="execution_own"),
            models.Index(
                fields=["status"],
                name="execution_open",
                condition=~Q(status__in=sorted(FINAL)),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["requested_by", "idempotency_key"], name="execution_idempotency"
            ),
            models.UniqueConstraint(
                fields=["retried_as"],
                name="execution_retried_once",
                condition=Q(retried_as__isnull=False),
            ),
            models.CheckConstraint(
                name="execution_lease_iff_running",
                condition=(
                    Q(status=Status.RUNNING, lease_token__isnull=False)
                    | ~Q(status=Status.RUNNING) & Q(lease_token__isnull=True)
                ),
            ),
            models.CheckConstraint(
                name="execution_finished_iff_final",
                condition=(
                    Q(status__in=sorted(FINAL), finished_at__isnull=False)
                    | ~Q(status__in=sorted(FINAL)) & Q(finished_at__isnull=True)
                ),
            ),
            models.CheckConstraint(
                name="execution_approver_is_another",
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=models.F("requested_by")),
            ),
        ]
        triggers = [
            # What was confirmed or approved is what runs: nobody can change it afterwards.
            pgtrigger.Protect(
                name="request_immutable",
                operation=pgtrigger.UpdateOf(
                    *("skill_id", "version_id", "requested_by_id", "inputs", "inputs_digest"),
                    *("reason", "mode", "policy_version"),
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.skill} {self.id}"

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def awaits_a_person(self) -> bool:
        return self.status in WAITING

    @property
    def awaits_confirmation(self) -> bool:
        return self.status == Status.AWAITING_CONFIRMATION

    @property
    def topic(self) -> str:
        """Where it is announced that this execution is over, waits, or was asked to end
        (execfabric.core.wake)."""
        return topic_of(self.pk)

    @property
    def live_topic(self) -> str:
        """Where what happens while it runs is announced: most who wait need not hear of that."""
        return f"{self.topic}:live"


def topic_of(execution_id: UUID) -> str:
    return f"execution:{execution_id}"


class Turnstile(models.Model):
    """One row, made at its first use. Who counts running executions holds its lock (limits.py)."""

    id = models.SmallIntegerField(primary_key=True)

    def __str__(self) -> str:
        return "turnstile"


class LogChunk(models.Model):
    """A piece of an execution's log, in the order it was written."""

    execution = models.ForeignKey(
        Execution, on_delete=models.CASCADE, related_name="log_chunks", db_index=False
    )
    STREAMS: ClassVar = {"\x0e": "stdout", "\x0f": "stderr"}
    """The character that stands before each piece of a chunk of both streams. Logs have none."""
    BOTH = "both"
    NOTICE = "notice"
    """A line of the platform, about what is left out."""

    seq = models.PositiveIntegerField()
    """1, 2, 3, … within the execution; the cursor of readers."""
    stream = models.CharField(max_length=6)
    text = models.TextField()
    """See ``pieces``: where the streams take turns, one chunk holds pieces of both."""
    at = models.DateTimeField()

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["execution", "seq"], name="log_chunk_order")]

    def __str__(self) -> str:
        return f"{self.execution_id} #{self.seq}"

    @classmethod
    def packed(cls, pieces: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """Return stream and text of a chunk that holds these pieces, each a stream and a text."""
        if len(pieces) == 1:
            return pieces[0]
        marks = {stream: mark for mark, stream in cls.STREAMS.items()}
        return cls.BOTH, "".join(marks[stream] + text for stream, text in pieces)

    @property
    def pieces(self) -> list[tuple[str, str]]:
        """Return stream and text of every piece, in order."""
        if self.stream != self.BOTH:
            return [(self.stream, self.text)]
        parts = MARKS.split(self.text)[1:]
        return [
            (self.STREAMS[mark], text) for mark, text in zip(parts[::2], parts[1::2], strict=True)
        ]

    @property
    def plain(self) -> str:
        return "".join(text for _stream, text in self.pieces)


class Artifact(models.Model):
    """A file a run left for its user."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    execution = models.ForeignKey(
        Execution, on_delete=models.CASCADE, related_name="artifacts", db_index=False
    )
    name = models.CharField(max_length=1024)
    """Relative path the script gave it; '/'-separated, safe to show."""
    size_bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(max_length=100)
    stored_as = models.CharField(max_length=200)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["execution", "name"], name="artifact_name_once")
        ]

    def __str__(self) -> str:
        return self.name


class StoredContent(models.Model):
    """The content of input files, stored once however many of them have it."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size_bytes = models.PositiveBigIntegerField()
    stored_as = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.sha256


class StoredFile(models.Model):
    """A file a user uploaded as input. Seen and used by its owner only."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=255)
    size_bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    stored_as = models.CharField(max_length=200)
    content = models.ForeignKey(
        StoredContent, on_delete=models.PROTECT, null=True, related_name="files"
    )
    """None once retention removed it; the row stays as the name of an execution's input."""
    uploaded_by = models.ForeignKey(Account, on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["created_at"],
                name="stored_file_with_content",
                condition=Q(content__isnull=False),
            )
        ]
        constraints = [
            models.CheckConstraint(
                name="stored_file_removed_iff_no_content",
                condition=Q(content__isnull=True, removed_at__isnull=False)
                | Q(content__isnull=False, removed_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return self.name


class InputUse(models.Model):
    """An execution was given this file: it is kept as long as the execution's files are."""

    execution = models.ForeignKey(
        Execution, on_delete=models.CASCADE, related_name="input_uses", db_index=False
    )
    file = models.ForeignKey(StoredFile, on_delete=models.PROTECT, related_name="uses")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["execution", "file"], name="input_use_once")]

    def __str__(self) -> str:
        return f"{self.execution_id} uses {self.file_id}"


class FileRetention(models.Model):
    """How long this tenant keeps files and logs; without a row, as the platform does."""

    only = models.BooleanField(primary_key=True, default=True)
    """There is one row at most."""
    days = models.PositiveIntegerField()
    """After an execution ended; never more than settings.FILES_KEPT_DAYS_MOST count."""

    class Meta:
        constraints = [
            models.CheckConstraint(name="file_retention_once", condition=Q(only=True)),
            models.CheckConstraint(name="file_retention_days", condition=Q(days__gte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.days} days"
