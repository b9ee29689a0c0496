from __future__ import annotations

import pgtrigger
from django.db import models

from .ids import uuid7


class Outcome(models.TextChoices):
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


NEVER_EMPTIED = pgtrigger.Trigger(
    name="never_emptied",
    operation=pgtrigger.Truncate,
    level=pgtrigger.Statement,
    when=pgtrigger.Before,
    func="RAISE EXCEPTION 'Cannot truncate %', TG_TABLE_NAME;",
)
APPEND_ONLY = (
    pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
    NEVER_EMPTIED,
)


UNTIL_ARCHIVED = (
    pgtrigger.Protect(name="append_only", operation=pgtrigger.Update),
    NEVER_EMPTIED,
)
"""A row may go once its event lies in an archive: a trigger of the migration 0003 sees to
that, by the function of 0006. Nobody but the owner of the tables has the right to delete at all."""


class AuditEvent(models.Model):
    """One governed act in this schema, done or refused. Written by @action only; never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    code = models.CharField(max_length=100)
    outcome = models.CharField(max_length=10, choices=Outcome)
    schema = models.CharField(max_length=63)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=150)
    door = models.CharField(max_length=10)
    address = models.CharField(max_length=45, blank=True)
    target_type = models.CharField(max_length=50, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_label = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)
    """Why it was refused or failed; empty when done."""
    details = models.JSONField(default=dict)
    """What the act was given, secrets and bulk left out (audit.describe)."""

    database_rights = ("SELECT", "INSERT")
    """All that a tenant's database role may do with this table."""

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["target_type", "target_id"], name="audit_target"),
            # Of the two that db_index makes, the one that finds a whole code and its beginning.
            models.Index(fields=["code"], name="audit_code", opclasses=["varchar_pattern_ops"]),
        ]
        triggers = list(UNTIL_ARCHIVED)

    def __str__(self) -> str:
        return f"{self.code} {self.outcome}"


class AuditSeal(models.Model):
    """The signed root over some events of this schema (core.sealing.seals).

    Written by seals.py only.
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    """1, 2, 3, … without a gap."""
    document = models.JSONField()
    """What was signed, and the signature: ``core.sealing.seals.Seal.document``."""
    xid_until = models.BigIntegerField()
    """Every event of a transaction with a lower id was sealed when this seal was made."""
    made_at = models.DateTimeField(auto_now_add=True)
    """By the clock of the database: a trigger of the migration 0006 fills it in."""

    database_rights = ("SELECT", "INSERT")

    class Meta:
        ordering = ["number"]
        triggers = list(APPEND_ONLY)

    def __str__(self) -> str:
        return f"seal {self.number}"


class AuditLeaf(models.Model):
    """Where an event stands: its place under its seal, and what it was when it was sealed."""

    event_id = models.UUIDField(primary_key=True)
    """No foreign key: a deleted event leaves its leaf behind."""
    seal = models.ForeignKey(
        AuditSeal, on_delete=models.PROTECT, related_name="leaves", db_index=False
    )
    index = models.PositiveIntegerField()
    digest = models.BinaryField()
    """sha256 of the event (core.sealing.canonical.event_digest)."""

    database_rights = ("SELECT", "INSERT")

    class Meta:
        ordering = ["seal", "index"]
        constraints = [
            models.UniqueConstraint(fields=["seal", "index"], name="audit_leaf_place_once")
        ]
        triggers = list(UNTIL_ARCHIVED)

    def __str__(self) -> str:
        return f"event {self.event_id} under seal {self.seal_id}"


class AuditRetention(models.Model):
    """One row where this schema chose for how long events stay in its trail."""

    only = models.BooleanField(primary_key=True, default=True)
    days = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(name="audit_retention_once", condition=models.Q(only=True))
        ]

    def __str__(self) -> str:
        return f"{self.days} days"


class SavedTrailView(models.Model):
    """Filters of the audit trail under a name, of one account or of all who read the trail here."""

    owner_id = models.BigIntegerField()
    owner_name = models.CharField(max_length=150)
    name = models.CharField(max_length=80)
    query = models.JSONField(default=dict)
    """Filters by name, as the address of the page has them."""
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["owner_id", "name"], name="trail_view_name_once")
        ]

    def __str__(self) -> str:
        return self.name


class AuditMark(models.Model):
    """One row, written to learn from the database which transactions have ended (seals.py)."""

    only = models.BooleanField(primary_key=True, default=True)
    settled_xid = models.BigIntegerField(default=0)
    """Filled in by a trigger: all transactions with a lower id had ended."""

    class Meta:
        constraints = [
            models.CheckConstraint(name="audit_mark_once", condition=models.Q(only=True))
        ]

    def __str__(self) -> str:
        return f"settled below {self.settled_xid}"
