from __future__ import annotations

from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from execfabric.web.api.errors import error_responses
from execfabric.web.audit.api import AuditApiView
from execfabric.web.requests import ApiRequest

from .evidence_file import evidence_file
from .selectors import executions_visible_to


class EvidenceApiView(AuditApiView):
    @extend_schema(
        operation_id="executions_evidence",
        tags=["executions"],
        responses={200: OpenApiTypes.OBJECT, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, execution_id: UUID) -> HttpResponseBase:
        """Return the evidence pack of an execution, which execfabric-cli audit verify reads.

        For those who may read the audit trail.
        """
        execution = self.find(executions_visible_to(request.actor), pk=execution_id)
        return evidence_file(request.actor, execution)
