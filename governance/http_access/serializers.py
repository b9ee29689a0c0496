"""Words of the admin host's API on HTTP resources and credentials. No field ever holds a secret."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from .models import Confirmation, HttpCredential, HttpResource, Level, Style
from .selectors import grants_of, latest_version, resources_using


class WriteOut(serializers.Serializer):
    id = serializers.UUIDField()
    method = serializers.CharField()
    path = serializers.CharField()
    limits = serializers.JSONField()
    confirmation = serializers.ChoiceField(choices=Confirmation.choices)
    reason = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class GrantOut(serializers.Serializer):
    id = serializers.UUIDField()
    tenant = serializers.CharField(source="tenant.name")
    level = serializers.ChoiceField(choices=Level.choices)
    version = serializers.IntegerField(source="version_number")
    skill = serializers.CharField(source="skill_name")
    granted_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class ResourceOut(serializers.Serializer):
    name = serializers.CharField()
    version = serializers.IntegerField(source="latest", help_text="The newest one.")
    is_enabled = serializers.BooleanField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class VersionOut(serializers.Serializer):
    number = serializers.IntegerField()
    title = serializers.CharField()
    description = serializers.CharField()
    spec = serializers.JSONField(help_text="The request and the answer; see the how-to.")
    inputs = serializers.JSONField()
    outputs = serializers.JSONField(source="output_fields")
    credential = serializers.CharField(source="credential.name", default=None, allow_null=True)
    client_certificate = serializers.CharField(
        source="client_certificate.name", default=None, allow_null=True
    )
    note = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class ResourceDetailOut(serializers.Serializer):
    name = serializers.CharField()
    is_enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField()
    open_addresses = serializers.ListField(child=serializers.CharField())
    latest = serializers.SerializerMethodField()
    writes = WriteOut(many=True)
    grants = serializers.SerializerMethodField()

    @extend_schema_field(VersionOut)
    def get_latest(self, resource: HttpResource) -> Any:
        return VersionOut(latest_version(resource)).data

    @extend_schema_field(GrantOut(many=True))
    def get_grants(self, resource: HttpResource) -> Any:
        return GrantOut(grants_of(resource), many=True).data


class VersionIn(serializers.Serializer):
    title = serializers.CharField(max_length=120)
    description = serializers.CharField(max_length=2000, default="", allow_blank=True)
    spec = serializers.DictField(help_text="base_url, method, path, query, headers, body, …")
    inputs = serializers.DictField(default=dict, help_text="As [inputs.x] in skill.toml.")
    outputs = serializers.DictField(default=dict, help_text="As [outputs.x] in skill.toml.")
    credential = serializers.SlugField(max_length=60, default=None, allow_null=True)
    client_certificate = serializers.SlugField(max_length=60, default=None, allow_null=True)
    note = serializers.CharField(max_length=200, default="", allow_blank=True)


class ResourceIn(VersionIn):
    name = serializers.SlugField(max_length=60)


class ReasonIn(serializers.Serializer):
    reason = serializers.CharField(max_length=2000)


class AddressesIn(ReasonIn):
    addresses = serializers.ListField(child=serializers.CharField(max_length=300), max_length=50)


class WriteIn(ReasonIn):
    method = serializers.ChoiceField(choices=["POST", "PUT", "PATCH", "DELETE"])
    path = serializers.CharField(max_length=1000)
    limits = serializers.DictField(default=dict)
    confirmation = serializers.ChoiceField(choices=Confirmation.choices)


class GrantIn(serializers.Serializer):
    tenant = serializers.SlugField(max_length=60)
    level = serializers.ChoiceField(choices=Level.choices)
    skill_name = serializers.CharField(max_length=60, default="", allow_blank=True)
    ai_callable = serializers.BooleanField(default=False)


class InputsIn(serializers.Serializer):
    inputs = serializers.DictField(default=dict)


class TrialIn(InputsIn):
    confirmed = serializers.BooleanField(
        default=False, help_text="Needed for a call that changes something."
    )


class DryRunOut(serializers.Serializer):
    summary = serializers.CharField()
    method = serializers.CharField(required=False)
    url = serializers.CharField(required=False)
    headers = serializers.DictField(child=serializers.CharField(), required=False)
    body = serializers.CharField(required=False)
    refused = serializers.CharField(help_text="Why it would not be sent; empty when it would.")


class TrialOut(serializers.Serializer):
    id = serializers.UUIDField()
    version = serializers.IntegerField(source="version.number")
    status = serializers.CharField()
    summary = serializers.CharField()
    error = serializers.CharField()
    output = serializers.JSONField()
    trace = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_trace(self, execution: Any) -> str:
        chunks = execution.log_chunks.all()
        return "".join(text for chunk in chunks for _, text in chunk.pieces)


class DocumentIn(serializers.Serializer):
    document = serializers.CharField(max_length=2_000_000, help_text="OpenAPI 3, JSON or YAML.")
    operation = serializers.CharField(
        max_length=2000,
        default="",
        allow_blank=True,
        help_text="Such as GET /customers/{id}; empty: list them.",
    )


class OperationOut(serializers.Serializer):
    key = serializers.CharField()
    title = serializers.CharField()


class ImportOut(serializers.Serializer):
    operations = OperationOut(many=True)
    description = serializers.DictField(
        allow_null=True, help_text="What to send to create the resource, to look over first."
    )


class CredentialOut(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    style = serializers.ChoiceField(choices=Style.choices)  # type: ignore[assignment]  # DRF's own
    settings = serializers.JSONField()
    status = serializers.SerializerMethodField(help_text="active, expiring, expired or revoked.")
    version = serializers.IntegerField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    def get_status(self, credential: HttpCredential) -> str:
        return credential.status_at(timezone.now())


class CredentialDetailOut(CredentialOut):
    resources = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_resources(self, credential: HttpCredential) -> list[str]:
        return [resource.name for resource, _ in resources_using(credential)]


class SecretsIn(serializers.Serializer):
    secrets = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False), write_only=True,
        help_text="By name: value; token; username, password; client_id, client_secret; key_id, "
        "secret; client_certificate, client_key.",
    )  # fmt: skip
    expires_at = serializers.DateTimeField(default=None, allow_null=True)


class CredentialIn(SecretsIn):
    name = serializers.SlugField(max_length=60)
    title = serializers.CharField(max_length=120, default="", allow_blank=True)
    style = serializers.ChoiceField(choices=Style.choices)  # type: ignore[assignment]  # DRF's own
    settings = serializers.DictField(default=dict)
