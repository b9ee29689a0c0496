from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest

from ..models import Confirmation, Level
from ..selectors import ledger_visible_to


class WriteBoundaryOut(serializers.Serializer):
    method = serializers.CharField()
    path = serializers.CharField(help_text="* stands for one part.")
    confirmation = serializers.ChoiceField(choices=Confirmation.choices)


class LedgerOut(serializers.Serializer):
    """All that a tenant sees of an HTTP resource."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    level = serializers.ChoiceField(choices=Level.choices)
    request = serializers.CharField(source="request_summary")
    authentication = serializers.CharField(help_text="The style; never a secret.")
    writes = WriteBoundaryOut(source="write_boundary", many=True)
    skill = serializers.CharField(
        source="skill_name", help_text="The skill that calls it; empty where it is only seen."
    )


class LedgerListView(ApiView):
    @extend_schema(
        operation_id="http_ledger_list",
        tags=["http-resources"],
        responses={200: LedgerOut(many=True), **error_responses(401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the HTTP resources the platform shows this workspace."""
        return self.page(ledger_visible_to(request.actor), LedgerOut)
