"""The audit trail of this host's schema, for programs. The pages ask the same selectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from execfabric.core.errors import InvalidInput
from execfabric.core.models import AuditEvent, Outcome
from execfabric.core.permissions import can
from execfabric.core.selectors import audit_events_visible_to, seals_visible_to
from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest

from . import exporting
from .filters import LOGS, EventFilter
from .sending import FORMS, LINES, attached, send_export
from .tables import title_of

TAGS = ["audit"]
FILTERS = {
    "code": "Code of the act, such as executions.execution.request.",
    "outcome": "What came of it.",
    "actor": "In the name of who did it.",
    "target": "In the name of the object, or its id, or the username that was tried.",
    "object": "One object: <type>:<id>, or <type>:<id>:<name> with its parts.",
    "since": "First day.",
    "until": "Last day.",
    "address": "Network address it came from.",
    "request_id": "X-Request-ID of the request.",
    "log": "Only logins, or only operations of people.",
}
"""Of the page, by their names there, and what each finds."""
CHOICES = {"outcome": Outcome.values, "log": [name for name in LOGS if name]}
DAYS = frozenset({"since", "until"})


class AuditApiView(ApiView):
    """Not there for who may not read the trail."""

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not can(request.actor, "core.audit.read"):
            raise Http404

    def found(self, request: ApiRequest, filters: Mapping[str, Any]) -> EventFilter:
        """Return what the filters leave. Raises InvalidInput."""
        for name, allowed in CHOICES.items():
            if filters.get(name, "") not in ("", *allowed):
                wrong = f"Must be one of: {', '.join(allowed)}."
                raise InvalidInput("The filter does not fit.", fields={name: wrong})
        found = EventFilter(filters, queryset=audit_events_visible_to(request.actor))
        if not found.is_valid():
            wrongs = {name: " ".join(texts) for name, texts in found.errors.items()}
            raise InvalidInput("The filter does not fit.", fields=wrongs)
        return found


class EventOut(serializers.Serializer):
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    code = serializers.CharField()
    title = serializers.SerializerMethodField(help_text="What people call the act.")
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    schema = serializers.CharField()
    actor_id = serializers.IntegerField(allow_null=True)
    actor_name = serializers.CharField()
    door = serializers.CharField(help_text="How it came: web, api, cli, …")
    address = serializers.CharField()
    target_type = serializers.CharField()
    target_id = serializers.CharField()
    target_label = serializers.CharField()
    request_id = serializers.CharField()
    reason = serializers.CharField(help_text="Why it was refused or failed.")
    details = serializers.JSONField(help_text="What the act was given, without secrets.")

    def get_title(self, event: AuditEvent) -> str:
        return title_of(event.code)


class AuditExportIn(serializers.Serializer):
    form = serializers.ChoiceField(
        choices=list(FORMS),
        help_text="bundle: sealed events with their proofs, for execfabric-cli audit verify; "
        "jsonl and csv are for reading on.",
    )
    code = serializers.CharField(required=False, help_text=FILTERS["code"])
    outcome = serializers.ChoiceField(
        choices=Outcome.choices, required=False, help_text=FILTERS["outcome"]
    )
    actor = serializers.CharField(required=False, help_text=FILTERS["actor"])
    target = serializers.CharField(required=False, help_text=FILTERS["target"])
    object = serializers.CharField(required=False, help_text=FILTERS["object"])
    since = serializers.DateField(required=False, help_text=FILTERS["since"])
    until = serializers.DateField(required=False, help_text=FILTERS["until"])
    address = serializers.CharField(required=False, help_text=FILTERS["address"])
    request_id = serializers.CharField(required=False, help_text=FILTERS["request_id"])
    log = serializers.ChoiceField(choices=CHOICES["log"], required=False, help_text=FILTERS["log"])


class SealOut(serializers.Serializer):
    """A seal as it was signed. Digests are sha256, hexadecimal; key and signature base64."""

    schema = serializers.CharField()
    number = serializers.IntegerField()
    previous = serializers.CharField(help_text="Digest of the seal before.")
    count = serializers.IntegerField(help_text="Events under it.")
    total = serializers.IntegerField(help_text="Events under it and all before.")
    root = serializers.CharField()  # type: ignore[assignment]  # what a seal calls it
    ids = serializers.CharField(help_text="Digest of the ids of its events.")
    sealed_at = serializers.CharField()
    key = serializers.CharField()
    signature = serializers.CharField()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance.document)
        return shown


class EventListView(AuditApiView):
    @extend_schema(
        operation_id="audit_events_list",
        tags=TAGS,
        parameters=[
            OpenApiParameter(
                name,
                OpenApiTypes.DATE if name in DAYS else OpenApiTypes.STR,
                description=text,
                enum=CHOICES.get(name),
            )
            for name, text in FILTERS.items()
        ],
        responses={200: EventOut(many=True), **error_responses(400, 401, 404)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the events of the audit trail, newest first; log=logins is the login log."""
        return self.page(self.found(request, request.query_params).qs, EventOut)


class AuditExportView(AuditApiView):
    @extend_schema(
        operation_id="audit_export",
        tags=TAGS,
        request=AuditExportIn,
        responses={
            (200, LINES): OpenApiTypes.BINARY,
            (200, "text/csv"): OpenApiTypes.BINARY,
            **error_responses(400, 401, 403, 404),
        },
    )
    def post(self, request: ApiRequest) -> HttpResponseBase:
        """Return the trail, or what filters leave of it, as a file. An act that is on record."""
        wanted = self.body(AuditExportIn)
        form = wanted.pop("form")
        return send_export(request.actor, self.found(request, wanted), form)


class SealListView(AuditApiView):
    @extend_schema(
        operation_id="audit_seals_list",
        tags=TAGS,
        responses={200: SealOut(many=True), **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the seals of the audit trail, newest first."""
        return self.page(seals_visible_to(request.actor), SealOut)


class SealFileView(AuditApiView):
    @extend_schema(
        operation_id="audit_seals_file",
        tags=TAGS,
        parameters=[OpenApiParameter("after", int, description="Only seals after this number.")],
        responses={(200, LINES): OpenApiTypes.BINARY, **error_responses(400, 401, 404)},
    )
    def get(self, request: ApiRequest) -> HttpResponseBase:
        """Return the seals, the first first, as a file to keep elsewhere and verify with."""
        text = request.query_params.get("after", "0")
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise InvalidInput("The number does not fit.", fields={"after": "Give a number."})
        lines = exporting.seals_as_lines(seals_visible_to(request.actor), after=int(text))
        return attached(lines, "audit-seals.jsonl", LINES)
