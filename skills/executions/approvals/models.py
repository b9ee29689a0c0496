"""Rules of the tenant, what people said to a run, and the grant that comes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pgtrigger
from django.db import models
from django.db.models import F, Q

from skills.catalogue.models import Risk
from tenants.accounts.models import Account, Group


class ApprovalRules(models.Model):
    """What this tenant demands beyond the platform's minimum. The newest row is in force."""

    demands = models.JSONField()
    """By risk: {"confirm": bool, "approvals": int}."""
    expires_after_h = models.PositiveSmallIntegerField()
    """How long a request may wait for people, and a grant for a worker."""
    remind_after_h = models.PositiveSmallIntegerField()
    digest = models.CharField(max_length=16)
    """Of demands and expiry; half of what identifies the rules in force (rules.py)."""
    set_by = models.ForeignKey(Account, on_delete=models.PROTECT, null=True)
    set_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        triggers = [
            pgtrigger.Protect(name="immutable", operation=pgtrigger.Update | pgtrigger.Delete)
        ]

    def __str__(self) -> str:
        return f"rules {self.pk}"

    @property
    def said(self) -> list[tuple[Risk, Any]]:
        """Return each risk with what is demanded, for people to read."""
        return [(risk, self.demands[risk]) for risk in Risk if risk in self.demands]


class ConsentKind(models.TextChoices):
    CONFIRM = "confirm", "Confirmed"
    APPROVE = "approve", "Approved"
    REJECT = "reject", "Rejected"


class Consent(models.Model):
    """One person's word on one execution. Each says it once; nobody approves what they asked for.

    Not to be changed, nor taken back.
    """

    execution = models.ForeignKey(
        "executions.Execution", on_delete=models.CASCADE, related_name="consents"
    )
    kind = models.CharField(max_length=10, choices=ConsentKind)
    requester = models.ForeignKey(
        Account, on_delete=models.PROTECT, null=True, related_name="consents_asked_for"
    )
    """Of the execution; here too, so that the database itself keeps the two apart."""
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="consents")
    authority = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="consents_in_the_name"
    )
    """Whose right was used: the account's own, or that of who delegated it."""
    door = models.CharField(max_length=10)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["execution", "kind", "account"], name="consent_once"),
            models.UniqueConstraint(
                fields=["execution", "kind", "authority"], name="consent_right_used_once"
            ),
            models.CheckConstraint(
                name="consent_not_by_requester",
                condition=~Q(kind="approve")
                | Q(requester__isnull=True)
                | ~Q(account=F("requester")) & ~Q(authority=F("requester")),
            ),
        ]
        triggers = [pgtrigger.Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.kind} of {self.execution_id} by {self.account_id}"

    @property
    def is_delegated(self) -> bool:
        return self.authority_id != self.account_id


class RunGrant(models.Model):
    """Lets one execution start, once. Made when everybody who must has said yes."""

    execution = models.OneToOneField(
        "executions.Execution", on_delete=models.CASCADE, related_name="grant"
    )
    tenant_schema = models.CharField(max_length=63)
    version_digest = models.CharField(max_length=64)
    """Of everything the skill version says (digests.py)."""
    inputs_digest = models.CharField(max_length=64)
    """Of the canonical inputs, with name and digest of each file."""
    requester = models.ForeignKey(Account, on_delete=models.PROTECT, null=True)
    policy_version = models.CharField(max_length=40)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        triggers = [
            pgtrigger.Protect(
                name="bound",
                operation=pgtrigger.UpdateOf(
                    *("execution_id", "tenant_schema", "version_digest", "inputs_digest"),
                    *("requester_id", "policy_version", "issued_at", "expires_at"),
                ),
            ),
            pgtrigger.Protect(
                name="used_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__used_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"grant for {self.execution_id}"


class Delegation(models.Model):
    """For a time somebody else may approve what the delegator may."""

    delegator = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="delegations")
    to_account = models.ForeignKey(
        Account, on_delete=models.CASCADE, null=True, related_name="delegations_received"
    )
    to_group = models.ForeignKey(
        Group, on_delete=models.CASCADE, null=True, related_name="delegations_received"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-ends_at"]
        constraints = [
            models.CheckConstraint(
                name="delegation_to_one",
                condition=(
                    Q(to_account__isnull=False, to_group__isnull=True)
                    | Q(to_account__isnull=True, to_group__isnull=False)
                ),
            ),
            models.CheckConstraint(
                name="delegation_to_another",
                condition=Q(to_account__isnull=True) | ~Q(to_account=F("delegator")),
            ),
            models.CheckConstraint(
                name="delegation_ends_later", condition=Q(ends_at__gte=F("starts_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.delegator} to {self.to_account or self.to_group}"

    def is_active(self, now: datetime) -> bool:
        return self.starts_at <= now < self.ends_at
