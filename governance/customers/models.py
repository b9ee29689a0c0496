from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from execfabric.core.ids import uuid7
from tenants.registry.models import Tenant


class CustomerStatus(models.TextChoices):
    PROSPECT = "prospect", "Prospect"
    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"
    ENDED = "ended", "Ended"


class Customer(models.Model):
    """Whom the platform has a contract with, or hopes to."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120)
    reference = models.CharField(max_length=60, blank=True)
    """Number of the customer or contract in the operator's own books."""
    status = models.CharField(
        max_length=10, choices=CustomerStatus, default=CustomerStatus.PROSPECT
    )
    contract_begins_on = models.DateField(null=True)
    contract_ends_on = models.DateField(null=True)
    """Its last day; None where it has no end."""
    notes = models.TextField(blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(Upper("name"), name="customer_name_once"),
            models.CheckConstraint(
                name="customer_status_known", condition=Q(status__in=CustomerStatus.values)
            ),
            models.CheckConstraint(
                name="customer_contract_ends_after_begin",
                condition=Q(contract_begins_on__isnull=True)
                | Q(contract_ends_on__isnull=True)
                | Q(contract_ends_on__gte=F("contract_begins_on")),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Contact(models.Model):
    """A person to talk to at a customer."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="contacts")
    name = models.CharField(max_length=120)
    role = models.CharField(max_length=120, blank=True)
    """What they are there for, such as "billing"."""
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=40, blank=True)
    is_main = models.BooleanField(default=False)

    class Meta:
        ordering = ["-is_main", "name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["customer"], name="contact_one_main", condition=Q(is_main=True)
            )
        ]

    def __str__(self) -> str:
        return self.name


class CustomerTenant(models.Model):
    """A tenant belongs to a customer. A deleted one stays in the list by its name."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="links")
    tenant = models.OneToOneField(
        Tenant, on_delete=models.SET_NULL, null=True, related_name="customer_link"
    )
    name = models.CharField(max_length=40)
    """Of the tenant."""
    number = models.PositiveIntegerField(null=True)
    linked_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)
    """When the tenant was deleted."""

    class Meta:
        ordering = ["linked_at"]
        constraints = [
            models.CheckConstraint(
                name="customer_tenant_there_unless_deleted",
                condition=Q(tenant__isnull=False) | Q(deleted_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.customer_id}"
