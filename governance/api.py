from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers
from rest_framework.response import Response

from execfabric.core.errors import InvalidInput
from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from tenants.registry.addresses import url_for_tenant
from tenants.registry.models import Tenant
from tenants.registry.services import (
    OwnerRequest,
    activate_tenant,
    close_tenant,
    limit_tenant,
    open_tenant,
    resume_tenant,
    set_tenant_term,
    suspend_tenant,
)

from .filters import TenantFilter
from .http_access.serializers import ReasonIn
from .selectors import ledger_visible_to


class OwnerIn(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    display_name = serializers.CharField(max_length=100, required=False, allow_blank=True)
    email = serializers.EmailField(required=False, allow_blank=True)
    password = serializers.CharField(
        max_length=4096,
        required=False,
        trim_whitespace=False,
        help_text="Leave it out to get a set-password link instead.",
    )


class TenantIn(serializers.Serializer):
    name = serializers.CharField(max_length=40)
    title = serializers.CharField(max_length=100)
    domain = serializers.CharField(max_length=253, required=False, allow_blank=True)
    owner = OwnerIn()


class OptionalReasonIn(serializers.Serializer):
    reason = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class TermIn(serializers.Serializer):
    expires_on = serializers.DateField(
        allow_null=True, help_text="Last day, in UTC; null: no end is known."
    )


class LimitsIn(serializers.Serializer):
    concurrency = serializers.IntegerField(
        allow_null=True, help_text="Executions at once; null: as many as there are workers."
    )


class UsageOut(serializers.Serializer):
    """As last counted; see counted_at."""

    runs_30d = serializers.IntegerField(help_text="Executions asked for in the last 30 days.")
    failed_30d = serializers.IntegerField()
    accounts = serializers.IntegerField()
    skills = serializers.IntegerField()
    files_bytes = serializers.IntegerField()
    artifacts_bytes = serializers.IntegerField()
    bundles_bytes = serializers.IntegerField()
    last_activity_at = serializers.DateTimeField(allow_null=True)
    counted_at = serializers.DateTimeField()


class TenantOut(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    number = serializers.IntegerField(allow_null=True)
    schema = serializers.CharField(source="schema_name")
    status = serializers.CharField()
    status_reason = serializers.CharField()
    expires_on = serializers.DateField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    deletion_due_at = serializers.DateTimeField(allow_null=True)
    customer = serializers.SerializerMethodField(help_text="Its name; empty without one.")
    usage = serializers.SerializerMethodField()
    front = serializers.CharField()
    concurrency = serializers.IntegerField(
        allow_null=True, help_text="How many of its executions may go on at once."
    )
    domains = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    def get_customer(self, tenant: Tenant) -> str:
        link = getattr(tenant, "customer_link", None)
        return link.customer.name if link is not None else ""

    @extend_schema_field(UsageOut(allow_null=True))
    def get_usage(self, tenant: Tenant) -> Any:
        usage = getattr(tenant, "usage", None)
        return UsageOut(usage).data if usage is not None else None

    def get_domains(self, tenant: Tenant) -> list[str]:
        return [domain.domain for domain in tenant.domains.all()]


class OpenedTenantOut(TenantOut):
    url = serializers.SerializerMethodField()
    set_password_url = serializers.SerializerMethodField(
        help_text="Works once; empty when a password was given."
    )

    def get_url(self, tenant: Tenant) -> str:
        return url_for_tenant(tenant)

    def get_set_password_url(self, tenant: Tenant) -> str:
        path = tenant.set_password_path
        return url_for_tenant(tenant, path) if path else ""


class TenantListView(ApiView):
    @extend_schema(
        operation_id="tenants_list",
        tags=["tenants"],
        parameters=[
            OpenApiParameter("q", description="In name, title, schema, host or customer."),
            OpenApiParameter("status"),
            OpenApiParameter("expires", description="past, 30 or none."),
            OpenApiParameter("used", description="30 or idle."),
        ],
        responses={200: TenantOut(many=True), **error_responses(400, 401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the tenants with what they use, newest first."""
        rows = ledger_visible_to(request.actor)
        found = TenantFilter(request.query_params, queryset=rows)
        if not found.is_valid():
            wrong = {name: " ".join(texts) for name, texts in found.errors.items()}
            raise InvalidInput("The filter does not fit.", fields=wrong)
        return self.page(found.qs, TenantOut)

    @extend_schema(
        operation_id="tenants_create",
        tags=["tenants"],
        request=TenantIn,
        responses={201: OpenedTenantOut, **error_responses(400, 401, 403, 409)},
        examples=[
            OpenApiExample(
                "Open a tenant",
                value={"name": "acme", "title": "Acme Ltd", "owner": {"username": "olivia"}},
                request_only=True,
            )
        ],
    )
    def post(self, request: ApiRequest) -> Response:
        """Open a tenant: number, schema, host, and the owner's account."""
        wanted = self.body(TenantIn)
        tenant = open_tenant(
            actor=request.actor,
            name=wanted["name"],
            title=wanted["title"],
            domain=wanted.get("domain", ""),
            owner=OwnerRequest(**wanted["owner"]),
        )
        return Response(OpenedTenantOut(tenant).data, status=201)


class TenantDetailView(ApiView):
    @extend_schema(
        operation_id="tenants_retrieve",
        tags=["tenants"],
        responses={200: TenantOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, name: str) -> Response:
        """Return one tenant."""
        return Response(TenantOut(self.find(ledger_visible_to(request.actor), name=name)).data)


class TenantSuspendView(ApiView):
    @extend_schema(
        operation_id="tenants_suspend",
        tags=["tenants"],
        request=ReasonIn,
        responses={200: TenantOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Refuse every request of a tenant from now on."""
        body = self.body(ReasonIn)
        tenant = self.find(ledger_visible_to(request.actor), name=name)
        reason = body["reason"]
        return Response(
            TenantOut(suspend_tenant(actor=request.actor, tenant=tenant, reason=reason)).data
        )


class TenantResumeView(ApiView):
    @extend_schema(
        operation_id="tenants_resume",
        tags=["tenants"],
        request=OptionalReasonIn,
        responses={200: TenantOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Let a suspended or closed tenant in again."""
        tenant = self.find(ledger_visible_to(request.actor), name=name)
        body = self.body(OptionalReasonIn)
        reason = body.get("reason", "")
        return Response(
            TenantOut(resume_tenant(actor=request.actor, tenant=tenant, reason=reason)).data
        )


class TenantActivateView(ApiView):
    @extend_schema(
        operation_id="tenants_activate",
        tags=["tenants"],
        request=OptionalReasonIn,
        responses={200: TenantOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Make a trial, or a tenant that is about to expire, a regular one."""
        tenant = self.find(ledger_visible_to(request.actor), name=name)
        body = self.body(OptionalReasonIn)
        reason = body.get("reason", "")
        return Response(
            TenantOut(activate_tenant(actor=request.actor, tenant=tenant, reason=reason)).data
        )


class TenantCloseView(ApiView):
    @extend_schema(
        operation_id="tenants_close",
        tags=["tenants"],
        request=ReasonIn,
        responses={200: TenantOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """End a tenant. Nothing is deleted by it."""
        body = self.body(ReasonIn)
        tenant = self.find(ledger_visible_to(request.actor), name=name)
        closed = close_tenant(
            actor=request.actor,
            tenant=tenant,
            reason=body["reason"],
            closed_at=timezone.now(),
        )
        return Response(TenantOut(closed).data)


class TenantTermView(ApiView):
    @extend_schema(
        operation_id="tenants_set_term",
        tags=["tenants"],
        request=TermIn,
        responses={200: TenantOut, **error_responses(400, 401, 403, 404)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Note the last day that is paid or agreed for."""
        body = self.body(TermIn)
        tenant = self.find(ledger_visible_to(request.actor), name=name)
        noted = set_tenant_term(actor=request.actor, tenant=tenant, expires_on=body["expires_on"])
        return Response(TenantOut(noted).data)


class TenantLimitsView(ApiView):
    @extend_schema(
        operation_id="tenants_limit",
        tags=["tenants"],
        request=LimitsIn,
        responses={200: TenantOut, **error_responses(400, 401, 403, 404)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Set how much of the platform a tenant may use at once."""
        body = self.body(LimitsIn)
        tenant = self.find(ledger_visible_to(request.actor), name=name)
        limited = limit_tenant(actor=request.actor, tenant=tenant, concurrency=body["concurrency"])
        return Response(TenantOut(limited).data)
