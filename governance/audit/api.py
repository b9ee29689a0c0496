from __future__ import annotations

from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.audit.api import TAGS, AuditApiView
from execfabric.web.requests import ApiRequest

from . import services
from .fetching import send_archive
from .models import YOUNGEST_DAYS
from .selectors import archive_visible_to, archives_visible_to, days_kept


class ArchiveOut(serializers.Serializer):
    id = serializers.UUIDField()
    first_seal = serializers.IntegerField()
    last_seal = serializers.IntegerField()
    events = serializers.IntegerField()
    first_at = serializers.DateTimeField(help_text="When the first of its seals was made.")
    last_at = serializers.DateTimeField()
    sha256 = serializers.CharField(help_text="Of the file.")
    size_bytes = serializers.IntegerField()
    made_at = serializers.DateTimeField()
    removed_at = serializers.DateTimeField(
        allow_null=True, help_text="When its events left the trail; null: they are in both."
    )


class DaysIn(serializers.Serializer):
    days = serializers.IntegerField(
        help_text=f"Between {YOUNGEST_DAYS} and {services.LONGEST_DAYS}."
    )


class DaysOut(serializers.Serializer):
    days = serializers.IntegerField()


class ArchiveListView(AuditApiView):
    @extend_schema(
        operation_id="audit_archives_list",
        tags=TAGS,
        responses={200: ArchiveOut(many=True), **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the archives of the audit trail, newest first."""
        rows = archives_visible_to(request.actor)
        return self.page(rows, ArchiveOut, ordering="-first_seal")

    @extend_schema(
        operation_id="audit_archives_request",
        tags=TAGS,
        request=DaysIn,
        responses={202: None, **error_responses(400, 401, 403, 404)},
    )
    def post(self, request: ApiRequest) -> Response:
        """Let a worker archive what is older than so many days, now."""
        services.request_archive(actor=request.actor, days=self.body(DaysIn)["days"])
        return Response(status=202)


class ArchiveContentView(AuditApiView):
    @extend_schema(
        operation_id="audit_archives_content",
        tags=TAGS,
        request=None,
        responses={
            (200, "application/gzip"): OpenApiTypes.BINARY,
            **error_responses(401, 403, 404),
        },
    )
    def post(self, request: ApiRequest, archive_id: UUID) -> HttpResponseBase:
        """Return an archive as it is stored. An act that is on record."""
        rows = archive_visible_to(request.actor, archive_id)
        return send_archive(request.actor, self.find(rows))


class RetentionView(AuditApiView):
    @extend_schema(
        operation_id="audit_retention_retrieve",
        tags=TAGS,
        responses={200: DaysOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest) -> Response:
        """Return how many days events stay in the trail before they move to archives."""
        return Response(DaysOut({"days": days_kept()}).data)

    @extend_schema(
        operation_id="audit_retention_set",
        tags=TAGS,
        request=DaysIn,
        responses={200: DaysOut, **error_responses(400, 401, 403, 404)},
    )
    def put(self, request: ApiRequest) -> Response:
        """Say how many days events stay in the trail."""
        kept = services.set_retention(actor=request.actor, days=self.body(DaysIn)["days"])
        return Response(DaysOut(kept).data)
