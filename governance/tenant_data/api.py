from __future__ import annotations

from uuid import UUID

from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.downloads import send_archive
from execfabric.web.requests import ApiRequest
from tenants.registry.models import Tenant
from tenants.registry.selectors import tenants_visible_to

from . import fetching, selectors, services
from .models import TenantDeletion, TenantExport

TAGS = ["tenant data"]


class ExportIn(serializers.Serializer):
    reason = serializers.CharField(max_length=2000)


class ExportOut(serializers.Serializer):
    id = serializers.UUIDField()
    tenant = serializers.CharField(source="name")
    status = serializers.CharField()
    stage = serializers.CharField()
    share_done = serializers.FloatField(help_text="Between 0 and 1.")
    rows_done = serializers.IntegerField()
    files_done = serializers.IntegerField()
    bytes_done = serializers.IntegerField()
    reason = serializers.CharField()
    requested_by = serializers.CharField()
    requested_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    manifest_sha256 = serializers.CharField()
    error = serializers.CharField()


class DeletionIn(serializers.Serializer):
    confirmation = serializers.CharField(max_length=40, help_text="The name of the tenant.")
    reason = serializers.CharField(max_length=2000)


class DeletionOut(serializers.Serializer):
    id = serializers.UUIDField()
    tenant = serializers.CharField(source="name")
    status = serializers.CharField()
    stage = serializers.CharField()
    reason = serializers.CharField()
    requested_by = serializers.CharField()
    requested_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    files_done = serializers.IntegerField()
    bytes_done = serializers.IntegerField()
    error = serializers.CharField()


class WorkApiView(ApiView):
    def tenant(self, request: ApiRequest, name: str) -> Tenant:
        found: Tenant = self.find(tenants_visible_to(request.actor), name=name)
        return found

    def export(self, request: ApiRequest, export_id: UUID) -> TenantExport:
        found: TenantExport = self.find(selectors.exports_visible_to(request.actor), pk=export_id)
        return found

    def deletion(self, request: ApiRequest, deletion_id: UUID) -> TenantDeletion:
        rows = selectors.deletions_visible_to(request.actor)
        found: TenantDeletion = self.find(rows, pk=deletion_id)
        return found


class TenantExportsView(WorkApiView):
    @extend_schema(
        operation_id="tenants_export",
        tags=TAGS,
        request=ExportIn,
        responses={201: ExportOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Have everything of a tenant copied into an export."""
        wanted = self.body(ExportIn)
        export = services.request_export(
            actor=request.actor,
            tenant=self.tenant(request, name),
            reason=wanted["reason"],
            requested_at=timezone.now(),
        )
        return Response(ExportOut(export).data, status=201)


class TenantDeletionView(WorkApiView):
    @extend_schema(
        operation_id="tenants_schedule_deletion",
        tags=TAGS,
        request=DeletionIn,
        responses={201: DeletionOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Have a closed tenant deleted after the time of grace."""
        wanted = self.body(DeletionIn)
        deletion = services.schedule_deletion(
            actor=request.actor,
            tenant=self.tenant(request, name),
            confirmation=wanted["confirmation"],
            reason=wanted["reason"],
            requested_at=timezone.now(),
        )
        return Response(DeletionOut(deletion).data, status=201)


class ExportListView(WorkApiView):
    @extend_schema(
        operation_id="tenant_exports_list",
        tags=TAGS,
        responses={200: ExportOut(many=True), **error_responses(401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the exports, newest first, also of tenants that are gone."""
        return self.page(selectors.exports_visible_to(request.actor), ExportOut)


class ExportDetailView(WorkApiView):
    @extend_schema(
        operation_id="tenant_exports_retrieve",
        tags=TAGS,
        responses={200: ExportOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, export_id: UUID) -> Response:
        """Return how far an export is."""
        return Response(ExportOut(self.export(request, export_id)).data)


class ExportContentView(WorkApiView):
    @extend_schema(
        operation_id="tenant_exports_content",
        tags=TAGS,
        request=None,
        responses={
            (200, "application/zip"): OpenApiTypes.BINARY,
            **error_responses(401, 403, 404, 409, 410),
        },
    )
    def post(self, request: ApiRequest, export_id: UUID) -> HttpResponseBase:
        """Return all files of an export as one ZIP file. An act that is on record."""
        export = services.fetch_export(actor=request.actor, export=self.export(request, export_id))
        return send_archive(
            fetching.entries_of(export),
            name=fetching.name_of(export),
            made_at=export.finished_at or timezone.now(),
        )


class ExportRetryView(WorkApiView):
    @extend_schema(
        operation_id="tenant_exports_retry",
        tags=TAGS,
        request=None,
        responses={200: ExportOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, export_id: UUID) -> Response:
        """Go on with a failed export where it stopped."""
        export = self.export(request, export_id)
        retried = services.retry_export(actor=request.actor, export=export, at=timezone.now())
        return Response(ExportOut(retried).data)


class ExportRemoveView(WorkApiView):
    @extend_schema(
        operation_id="tenant_exports_remove",
        tags=TAGS,
        request=None,
        responses={200: ExportOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, export_id: UUID) -> Response:
        """Delete the files of an export."""
        removed = services.remove_export(
            actor=request.actor,
            export=self.export(request, export_id),
            removed_at=timezone.now(),
        )
        return Response(ExportOut(removed).data)


class DeletionListView(WorkApiView):
    @extend_schema(
        operation_id="tenant_deletions_list",
        tags=TAGS,
        responses={200: DeletionOut(many=True), **error_responses(401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the deletions, newest first."""
        return self.page(selectors.deletions_visible_to(request.actor), DeletionOut)


class DeletionDetailView(WorkApiView):
    @extend_schema(
        operation_id="tenant_deletions_retrieve",
        tags=TAGS,
        responses={200: DeletionOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, deletion_id: UUID) -> Response:
        """Return how far a deletion is."""
        return Response(DeletionOut(self.deletion(request, deletion_id)).data)


class DeletionCancelView(WorkApiView):
    @extend_schema(
        operation_id="tenant_deletions_cancel",
        tags=TAGS,
        request=None,
        responses={200: DeletionOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, deletion_id: UUID) -> Response:
        """Keep a tenant that was to be deleted."""
        kept = services.cancel_deletion(
            actor=request.actor,
            deletion=self.deletion(request, deletion_id),
            cancelled_at=timezone.now(),
        )
        return Response(DeletionOut(kept).data)


class DeletionRetryView(WorkApiView):
    @extend_schema(
        operation_id="tenant_deletions_retry",
        tags=TAGS,
        request=None,
        responses={200: DeletionOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, deletion_id: UUID) -> Response:
        """Go on with a failed deletion where it stopped."""
        deletion = self.deletion(request, deletion_id)
        retried = services.retry_deletion(actor=request.actor, deletion=deletion, at=timezone.now())
        return Response(DeletionOut(retried).data)
