from __future__ import annotations

import pgtrigger
from django.db import models

from .ids import uuid7


class Outcome(models.TextChoices):
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class AuditEvent(models.Model):
    """One governed act in this schema, done or refused. Written by @action only; never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    code = models.CharField(max_length=100, db_index=True)
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
        indexes = [models.Index(fields=["target_type", "target_id"], name="audit_target")]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="never_emptied",
                operation=pgtrigger.Truncate,
                level=pgtrigger.Statement,
                when=pgtrigger.Before,
                func="RAISE EXCEPTION 'Cannot truncate %', TG_TABLE_NAME;",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.outcome}"
