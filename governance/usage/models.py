"""What was counted of each tenant. All of it lies in the public schema, and can be counted anew."""

from __future__ import annotations

from django.db import models

from tenants.registry.models import Tenant


class TenantUsage(models.Model):
    """What one tenant used, as last counted."""

    tenant = models.OneToOneField(
        Tenant, on_delete=models.CASCADE, primary_key=True, related_name="usage"
    )
    runs_30d = models.PositiveIntegerField(default=0)
    """Executions asked for in the last 30 days."""
    failed_30d = models.PositiveIntegerField(default=0)
    """Those of them that failed, timed out or were lost."""
    accounts = models.PositiveIntegerField(default=0)
    skills = models.PositiveIntegerField(default=0)
    files_bytes = models.PositiveBigIntegerField(default=0)
    """Stored input files."""
    artifacts_bytes = models.PositiveBigIntegerField(default=0)
    """Stored files that executions left."""
    bundles_bytes = models.PositiveBigIntegerField(default=0)
    """Stored scripts."""
    last_activity_at = models.DateTimeField(null=True)
    """When somebody last did something there, or an execution was asked for."""
    counted_at = models.DateTimeField(db_index=True)
    storage_counted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"usage of {self.tenant_id}"

    @property
    def stored_bytes(self) -> int:
        return self.files_bytes + self.artifacts_bytes + self.bundles_bytes


class DailyRuns(models.Model):
    """Executions of one tenant that were asked for on one day, in UTC."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="daily_runs")
    day = models.DateField(db_index=True)
    total = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    """Failed, timed out or lost."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "day"], name="daily_runs_once")]

    def __str__(self) -> str:
        return f"{self.tenant_id} on {self.day}: {self.total}"


class ResourceHealth(models.Model):
    """How calls of one HTTP resource by one tenant ended in the last 24 hours."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="resource_health")
    name = models.CharField(max_length=60)
    """Of the resource."""
    total = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    """Sent, and without a usable answer."""
    refused = models.PositiveIntegerField(default=0)
    """Of total: not sent, since whitelist, guard, grant or credential did not allow it."""
    last_failed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="resource_health_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} in {self.tenant_id}: {self.failed} of {self.total - self.refused}"
