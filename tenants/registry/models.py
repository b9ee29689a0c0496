from __future__ import annotations

from django.db import models
from django.db.models import Q
from django_tenants.models import DomainMixin, TenantMixin

from execfabric.core.states import Transitions

FIRST_NUMBER = 1001
SHARED_FRONT_FROM = 1003
"""Tenants numbered from here use the shared front unless flagged otherwise."""


class TenantKind(models.TextChoices):
    PLATFORM = "platform", "Platform"
    FREE = "free", "Free edition"
    CUSTOMER = "customer", "Customer"


class TenantStatus(models.TextChoices):
    TRIAL = "trial", "Trial"
    ACTIVE = "active", "Active"
    EXPIRING = "expiring", "Expiring"
    SUSPENDED = "suspended", "Suspended"
    CLOSED = "closed", "Closed"


class Front(models.TextChoices):
    SHARED = "shared", "Shared tenant front"
    DEDICATED = "dedicated", "Dedicated front"


TENANT_TRANSITIONS: Transitions = {
    TenantStatus.TRIAL: frozenset(
        {TenantStatus.ACTIVE, TenantStatus.SUSPENDED, TenantStatus.CLOSED}
    ),
    TenantStatus.ACTIVE: frozenset(
        {TenantStatus.EXPIRING, TenantStatus.SUSPENDED, TenantStatus.CLOSED}
    ),
    TenantStatus.EXPIRING: frozenset(
        {TenantStatus.ACTIVE, TenantStatus.SUSPENDED, TenantStatus.CLOSED}
    ),
    TenantStatus.SUSPENDED: frozenset({TenantStatus.ACTIVE, TenantStatus.CLOSED}),
    # Reopened, as long as nobody has asked for its deletion.
    TenantStatus.CLOSED: frozenset({TenantStatus.ACTIVE}),
}

OPEN_STATUSES = frozenset({TenantStatus.TRIAL, TenantStatus.ACTIVE, TenantStatus.EXPIRING})
"""A tenant in any other status answers no request but with a page that says so."""


class Tenant(TenantMixin):
    """A customer, the free edition, or the platform itself (schema ``public``)."""

    auto_create_schema = False  # provisioning.py does, by replaying the template schema.

    set_password_path: str = ""
    """Set on a tenant that was just opened without a password: the owner's link, valid once."""

    kind = models.CharField(max_length=10, choices=TenantKind, default=TenantKind.CUSTOMER)
    number = models.PositiveIntegerField(unique=True, null=True, editable=False)
    name = models.SlugField(max_length=40, unique=True)
    """Host label: ``<name>.<base domain>``."""
    title = models.CharField(max_length=100)
    status = models.CharField(max_length=10, choices=TenantStatus, default=TenantStatus.ACTIVE)
    front = models.CharField(max_length=10, choices=Front, default=Front.SHARED)
    concurrency = models.PositiveIntegerField(null=True, blank=True)
    """How many of its runs may go on at once; None: as many as there are workers."""
    expires_on = models.DateField(null=True, blank=True)
    """Last day that is paid or agreed for, in UTC; None: no end is known."""
    status_reason = models.TextField(blank=True)
    """Why it has its status, in the words of who changed it last; empty while it is open."""
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)
    deletion_due_at = models.DateTimeField(null=True)
    """From when on it may be deleted, schema and all. Before that, and without it, the database
    itself refuses (migration 0003)."""

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="tenant_number_iff_customer",
                condition=(
                    Q(kind=TenantKind.CUSTOMER, number__isnull=False)
                    | (~Q(kind=TenantKind.CUSTOMER) & Q(number__isnull=True))
                ),
            ),
            models.CheckConstraint(
                name="tenant_status_known", condition=Q(status__in=TenantStatus.values)
            ),
            models.CheckConstraint(
                name="tenant_closed_at_iff_closed",
                condition=Q(status=TenantStatus.CLOSED, closed_at__isnull=False)
                | ~Q(status=TenantStatus.CLOSED) & Q(closed_at__isnull=True),
            ),
            models.CheckConstraint(
                name="tenant_deleted_only_closed",
                condition=Q(deletion_due_at__isnull=True)
                | Q(status=TenantStatus.CLOSED, kind=TenantKind.CUSTOMER),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def is_closed(self) -> bool:
        return self.status == TenantStatus.CLOSED

    @property
    def is_platform(self) -> bool:
        return self.kind == TenantKind.PLATFORM


class FormerTenant(models.Model):
    """What is left of a deleted tenant: its number is never used again."""

    number = models.PositiveIntegerField(primary_key=True)
    schema_name = models.CharField(max_length=63, unique=True)
    name = models.CharField(max_length=40)
    """Free for another tenant now."""
    title = models.CharField(max_length=100)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField()
    deleted_at = models.DateTimeField()

    class Meta:
        ordering = ["-deleted_at"]

    def __str__(self) -> str:
        return self.name


class Domain(DomainMixin):
    """A host name that leads to a tenant. Lower case, without port."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="domain_one_primary", fields=["tenant"], condition=Q(is_primary=True)
            )
        ]

    def __str__(self) -> str:
        return str(self.domain)
