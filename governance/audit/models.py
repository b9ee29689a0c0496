from __future__ import annotations

from django.db import models

from execfabric.core.ids import uuid7

YOUNGEST_DAYS = 30
"""What is younger stays in the trail, whoever asks: the database itself refuses."""


class AuditArchive(models.Model):
    """A stored bundle of the events of some seals of one schema. Written by services.py only.

    To set removed_at is to take these events, and their leaves, out of the trail: the database does
    it, as the owner, after it looked itself whether that is all right. Nothing else ever changes.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    schema = models.CharField(max_length=63)
    first_seal = models.PositiveBigIntegerField()
    last_seal = models.PositiveBigIntegerField()
    events = models.PositiveBigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    """When the first and the last of its seals were made."""
    sha256 = models.CharField(max_length=64)
    """Of the stored file."""
    size_bytes = models.PositiveBigIntegerField()
    stored_as = models.CharField(max_length=300)
    made_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    database_rights = ("SELECT", "INSERT", "UPDATE")

    class Meta:
        ordering = ["schema", "first_seal"]
        constraints = [
            models.UniqueConstraint(fields=["schema", "first_seal"], name="archive_first_once"),
            models.UniqueConstraint(fields=["schema", "last_seal"], name="archive_last_once"),
            models.CheckConstraint(
                name="archive_in_order",
                condition=models.Q(
                    first_seal__gte=1, last_seal__gte=models.F("first_seal"), events__gte=1
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"seals {self.first_seal} to {self.last_seal} of {self.schema}"


class Upkeep(models.Model):
    """How a repeated duty towards one trail goes: a kind of copies of its seals, or archiving."""

    schema = models.CharField(max_length=63)
    duty = models.CharField(max_length=20)
    up_to_seal = models.PositiveBigIntegerField(default=0)
    """The last seal for which it is done."""
    done_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    """In a row."""
    next_try_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    """Of the last failure; empty when there is none."""

    class Meta:
        ordering = ["schema", "duty"]
        constraints = [
            models.UniqueConstraint(fields=["schema", "duty"], name="upkeep_once"),
        ]

    def __str__(self) -> str:
        return f"{self.duty} of {self.schema}"
