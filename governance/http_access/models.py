"""HTTP resources, their credentials and grants. All of it lies in the public schema."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pgtrigger
from django.db import models
from django.db.models import Q

from execfabric.core.fields import OrderedJSONField
from execfabric.core.ids import uuid7
from executors.http.resource import HttpResource as Spec
from executors.http.resource import parse_resource
from skills.catalogue.models import IS_SLUG
from tenants.registry.models import Tenant

WARN_BEFORE = timedelta(days=30)


class Style(models.TextChoices):
    API_KEY = "api_key", "API key"
    BEARER = "bearer", "Bearer token"
    BASIC = "basic", "User name and password"
    OAUTH2 = "oauth2", "OAuth 2 client credentials"
    HMAC = "hmac", "HMAC signature"
    CLIENT_CERTIFICATE = "client_certificate", "Client certificate"


NO_AUTHENTICATION = "None"


class Level(models.TextChoices):
    VIEW = "view", "Sees it"
    RUN = "run", "Sees it and runs it"


class Confirmation(models.TextChoices):
    CONFIRM = "confirm", "Confirmed by who runs it"
    FOUR_EYES = "four_eyes", "Confirmed, and approved by somebody else"


class HttpCredential(models.Model):
    """How the platform proves itself to an API. The secret is in its versions."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120)
    style = models.CharField(max_length=20, choices=Style)
    settings = models.JSONField(default=dict)
    """Words of ``executors.http.resource.Authentication`` beside the style; no secrets."""
    version = models.PositiveIntegerField(default=0)
    """Number of the version in use."""
    expires_at = models.DateTimeField(null=True)
    """When the secret in use ends, as whoever stored it knows."""
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=150, blank=True)
    revoked_reason = models.TextField(blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(name="http_credential_name_is_slug", condition=IS_SLUG)
        ]

    def __str__(self) -> str:
        return self.name

    def status_at(self, now: datetime) -> str:
        """Return revoked, expired, expiring or active."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= now:
            return "expired"
        if self.expires_at and self.expires_at <= now + WARN_BEFORE:
            return "expiring"
        return "active"


class HttpCredentialVersion(models.Model):
    """One secret, encrypted for exactly this row (vault.py). It is never shown again."""

    credential = models.ForeignKey(
        HttpCredential, on_delete=models.CASCADE, related_name="versions"
    )
    number = models.PositiveIntegerField()
    key_id = models.CharField(max_length=20)
    """Which of the operator's keys it is encrypted with."""
    sealed = models.TextField()
    expires_at = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["credential", "number"], name="http_credential_version_number"
            )
        ]
        triggers = [
            # Another key re-encrypts it; nothing else about it changes.
            pgtrigger.Protect(
                name="as_stored",
                operation=pgtrigger.UpdateOf(
                    "credential_id", "number", "expires_at", "created_by", "created_at"
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.credential} v{self.number}"


class HttpResource(models.Model):
    """One operation of an HTTP API, under one name. What is sent stands in its versions."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=60, unique=True)
    is_enabled = models.BooleanField(default=True)
    disabled_reason = models.TextField(blank=True)
    open_addresses = models.JSONField(default=list)
    """What it was approved for beyond public addresses: rules (executors/network/policy.py)."""
    open_reason = models.TextField(blank=True)
    opened_by = models.CharField(max_length=150, blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(name="http_resource_name_is_slug", condition=IS_SLUG)]

    def __str__(self) -> str:
        return self.name

    def writes_in_force(self) -> models.QuerySet[HttpWrite]:
        return self.writes.filter(revoked_at__isnull=True)


class HttpResourceVersion(models.Model):
    """One immutable description of the request and of what is taken from the answer."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    resource = models.ForeignKey(HttpResource, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    spec = OrderedJSONField()
    """Words of ``executors.http.resource.HttpResource``, without authentication, writes, open
    addresses and client certificate, which come from elsewhere at each call."""
    inputs = OrderedJSONField(default=dict)
    """Input name -> words of ``[inputs.x]`` in skill.toml."""
    output_fields = OrderedJSONField(default=dict)
    """Output name -> words of ``[outputs.x]``."""
    credential = models.ForeignKey(
        HttpCredential, on_delete=models.PROTECT, null=True, related_name="resource_versions"
    )
    client_certificate = models.ForeignKey(
        HttpCredential, on_delete=models.PROTECT, null=True, related_name="tls_versions"
    )
    note = models.CharField(max_length=200, blank=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "number"], name="http_resource_version_number"
            )
        ]
        triggers = [pgtrigger.Protect(name="immutable", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.resource} v{self.number}"

    def full_spec(self, *, traced: bool = False, approved: bool = True) -> dict[str, Any]:
        """Return the spec as the executor takes it now: with writes and addresses in force.

        approved: whether somebody else approves its runs; without it writes that demand this are
        left out.
        """
        writes = self.resource.writes_in_force()
        if not approved:
            writes = writes.exclude(confirmation=Confirmation.FOUR_EYES)
        authentication = {"style": "none"}
        if self.credential is not None:
            authentication = {"style": self.credential.style, **self.credential.settings}
        tls = {**self.spec.get("tls", {})}
        if self.client_certificate_id is not None:
            tls["client_certificate"] = True
        return {
            **self.spec,
            "authentication": authentication,
            "tls": tls,
            "open_addresses": self.resource.open_addresses,
            "writes": [one.as_rule() for one in writes],
            "traced": traced,
        }

    def parsed(self) -> Spec:
        """Return the whole spec, parsed."""
        return parse_resource(self.full_spec())

    @property
    def authentication_title(self) -> str:
        """What a tenant may know of how the platform proves itself."""
        titles = [
            str(Style(each.style).label)
            for each in (self.credential, self.client_certificate)
            if each is not None
        ]
        return " and ".join(titles) or NO_AUTHENTICATION


class HttpWrite(models.Model):
    """One entry of a resource's whitelist. What no entry in force allows is never written."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    resource = models.ForeignKey(HttpResource, on_delete=models.CASCADE, related_name="writes")
    method = models.CharField(max_length=6)
    path = models.CharField(max_length=1000)
    limits = models.JSONField(default=dict)
    confirmation = models.CharField(max_length=10, choices=Confirmation)
    reason = models.TextField()
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(name="http_write_has_reason", condition=~Q(reason="")),
            models.CheckConstraint(
                name="http_write_is_write",
                condition=Q(method__in=["POST", "PUT", "PATCH", "DELETE"]),
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="only_revoked",
                operation=pgtrigger.UpdateOf(
                    "resource_id", "method", "path", "limits", "confirmation", "reason"
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.resource}: {self.method} {self.path}"

    @property
    def limits_text(self) -> str:
        """The limits as they were typed: JSON."""
        return json.dumps(self.limits, ensure_ascii=False)

    def as_rule(self) -> dict[str, Any]:
        return {"method": self.method, "path": self.path, "limits": self.limits}


class HttpGrant(models.Model):
    """What one tenant may do with a resource: its line in the ledger, all that it ever reads.

    The words are copied here, so that a tenant reads this table and no other.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="http_grants")
    resource_id = models.UUIDField()
    """No foreign key: a tenant's role cannot read the table it would lead to."""
    version_number = models.PositiveIntegerField()
    """The one a tenant with the level run calls; no other one ever runs for it."""
    level = models.CharField(max_length=5, choices=Level)
    name = models.SlugField(max_length=60)
    title = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    request_summary = models.CharField(max_length=5000)
    authentication = models.CharField(max_length=100)
    write_boundary = models.JSONField(default=list)
    """[{"method", "path", "confirmation"}] in force; empty: it only reads."""
    skill_name = models.SlugField(max_length=60, blank=True)
    granted_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "resource_id"],
                name="http_grant_one_in_force",
                condition=Q(revoked_at__isnull=True),
            ),
            models.CheckConstraint(
                name="http_grant_run_has_skill",
                condition=Q(level=Level.VIEW, skill_name="")
                | Q(level=Level.RUN) & ~Q(skill_name=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} for {self.tenant.name}"

    @property
    def dialog_id(self) -> str:
        return f"revoke-{self.pk}"

    @property
    def boundary(self) -> list[tuple[str, str]]:
        """Return each write with how it is confirmed, in words."""
        return [
            (f"{one['method']} {one['path']}", str(Confirmation(one["confirmation"]).label))
            for one in self.write_boundary
        ]
