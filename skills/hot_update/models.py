"""Submissions of all tenants, in the public schema; a tenant sees its own ones only."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q

from execfabric.core.fields import OrderedJSONField
from execfabric.core.ids import uuid7
from tenants.registry.models import Tenant

from .states import Step, StepStatus, SubmissionStatus, Verdict


class Submission(models.Model):
    """One hot-update request of one tenant, through all its revisions."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="submissions")
    skill_name = models.SlugField(max_length=60)
    status = models.CharField(
        max_length=12, choices=SubmissionStatus, default=SubmissionStatus.CHECKING
    )
    submitted_by_id = models.BigIntegerField()
    """Account in the tenant's schema."""
    submitted_by = models.CharField(max_length=150)
    """Its username then."""
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["status", "created_at"], name="submission_queue")]
        constraints = [
            # Two requests for one skill at a time would be decided without each other.
            models.UniqueConstraint(
                fields=["tenant", "skill_name"],
                name="submission_one_open",
                condition=~Q(status__in=[SubmissionStatus.LIVE, SubmissionStatus.WITHDRAWN]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.tenant}/{self.skill_name}"


AS_SUBMITTED = (
    *("submission_id", "number", "digest", "stored_as", "size_bytes", "manifest", "scenario"),
    *("ai_callable", "manual", "confirm", "note", "submitted_by_id", "submitted_by", "created_at"),
)
"""Columns of a revision that never change; only the report of the checks is added."""


class Revision(models.Model):
    """What was submitted, as it was: a verdict is about one revision and its digest."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    """Of the bundle (executors.script.bundle), hexadecimal."""
    stored_as = models.CharField(max_length=200)
    """In the tenant's storage."""
    size_bytes = models.PositiveBigIntegerField()
    manifest = OrderedJSONField()
    """The effective manifest: that of the bundle, with what the form changed."""
    scenario = models.TextField()
    ai_callable = models.BooleanField()
    manual = models.BooleanField()
    confirm = models.BooleanField()
    note = models.TextField(blank=True)
    submitted_by_id = models.BigIntegerField()
    submitted_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    checks = models.JSONField(default=list)
    """Report of the automatic checks: [{"check", "level": pass|warn|block, "title", "details"}]."""
    trial = models.JSONField(default=dict)
    """The trial run on the sample inputs: status, summary, log, artifacts; {} before it ran."""
    lock = models.JSONField(null=True)
    """The packages that are reviewed and installed: {"python", "tag", "text"}; {} where the
    platform's own Python is all it asks for; {"problem", "tries", "tried_at"} where there is no
    lock yet; None before it was looked for. A lock is set once (reviewing.locking)."""

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["submission", "number"], name="revision_number")
        ]
        triggers = [
            # A verdict is about exactly these files and these words.
            pgtrigger.Protect(name="as_submitted", operation=pgtrigger.UpdateOf(*AS_SUBMITTED))
        ]

    def __str__(self) -> str:
        return f"{self.submission} r{self.number}"


class Review(models.Model):
    """The verdict of one reviewer on one revision."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="reviews")
    digest = models.CharField(max_length=64)
    """Of the bundle that was looked at; the verdict is void for any other."""
    packages = models.CharField(max_length=64, blank=True)
    """Digest of the lock that was looked at (reviewing.locks); empty for the platform's Python."""
    verdict = models.CharField(max_length=10, choices=Verdict)
    reason = models.TextField(blank=True)
    tightened = models.JSONField(default=dict)
    """What the reviewer set instead: risk, confirm, approval, ai_callable, network, limits."""
    reviewer_id = models.BigIntegerField()
    """Account in the public schema."""
    reviewer = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(fields=["revision", "reviewer_id"], name="review_once"),
            models.CheckConstraint(
                name="review_rejects_with_reason",
                condition=~Q(verdict=Verdict.REJECTED) | ~Q(reason=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.revision}: {self.verdict} by {self.reviewer}"


class Remark(models.Model):
    """Something said about a revision, by a reviewer or by the tenant; both sides read it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="remarks")
    text = models.TextField()
    author = models.CharField(max_length=150)
    is_reviewer = models.BooleanField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"{self.author} on {self.revision}"


class PublicationStep(models.Model):
    """One step from an approved revision to a live version. Redone from the one that failed."""

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="steps")
    step = models.CharField(max_length=10, choices=Step)
    status = models.CharField(max_length=10, choices=StepStatus, default=StepStatus.WAITING)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    log = models.TextField(blank=True)
    report = models.JSONField(default=dict)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["revision", "step"], name="publication_step_once")
        ]

    def __str__(self) -> str:
        return f"{self.revision}: {self.step} {self.status}"


class Recall(models.Model):
    """A bundle the platform withdrew everywhere; it is never published again."""

    digest = models.CharField(max_length=64, primary_key=True)
    reason = models.TextField()
    recalled_by = models.CharField(max_length=150)
    recalled_at = models.DateTimeField()
    places = models.JSONField(default=list)
    """Where it was registered: [{"tenant", "skill", "version", "was_in_use", "ended"}]; ended is
    how many executions it kept from running."""

    def __str__(self) -> str:
        return f"recall of {self.digest[:12]}"
