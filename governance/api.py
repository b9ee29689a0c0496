from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from tenants.registry.addresses import url_for_tenant
from tenants.registry.models import Tenant
from tenants.registry.selectors import tenants_visible_to
from tenants.registry.services import (
    OwnerRequest,
    limit_tenant,
    open_tenant,
    resume_tenant,
    suspend_tenant,
)


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


class SuspendIn(serializers.Serializer):
    reason = serializers.CharField(max_length=2000)


class LimitsIn(serializers.Serializer):
    concurrency = serializers.IntegerField(
        allow_null=True, help_text="Executions at once; null: as many as there are workers."
    )


class TenantOut(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    number = serializers.IntegerField(allow_null=True)
    schema = serializers.CharField(source="schema_name")
    status = serializers.CharField()
    front = serializers.CharField()
    concurrency = serializers.IntegerField(
        allow_null=True, help_text="How many of its executions may go on at once."
    )
    domains = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

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
        responses={200: TenantOut(many=True), **error_responses(401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the tenants."""
        return self.page(tenants_visible_to(request.actor), TenantOut)

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
        body = TenantIn(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
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
        return Response(TenantOut(self.find(tenants_visible_to(request.actor), name=name)).data)


class TenantSuspendView(ApiView):
    @extend_schema(
        operation_id="tenants_suspend",
        tags=["tenants"],
        request=SuspendIn,
        responses={200: TenantOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Refuse every request of a tenant from now on."""
        body = SuspendIn(data=request.data)
        body.is_valid(raise_exception=True)
        tenant = self.find(tenants_visible_to(request.actor), name=name)
        reason = body.validated_data["reason"]
        return Response(
            TenantOut(suspend_tenant(actor=request.actor, tenant=tenant, reason=reason)).data
        )


class TenantResumeView(ApiView):
    @extend_schema(
        operation_id="tenants_resume",
        tags=["tenants"],
        request=None,
        responses={200: TenantOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Let a suspended tenant in again."""
        tenant = self.find(tenants_visible_to(request.actor), name=name)
        return Response(TenantOut(resume_tenant(actor=request.actor, tenant=tenant)).data)


class TenantLimitsView(ApiView):
    @extend_schema(
        operation_id="tenants_limit",
        tags=["tenants"],
        request=LimitsIn,
        responses={200: TenantOut, **error_responses(400, 401, 403, 404)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Set how much of the platform a tenant may use at once."""
        body = LimitsIn(data=request.data)
        body.is_valid(raise_exception=True)
        tenant = self.find(tenants_visible_to(request.actor), name=name)
        limited = limit_tenant(
            actor=request.actor, tenant=tenant, concurrency=body.validated_data["concurrency"]
        )
        return Response(TenantOut(limited).data)
