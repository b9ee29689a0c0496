from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from execfabric.core.permissions import can
from execfabric.web.audit.tables import title_of
from execfabric.web.requests import ConsoleRequest

from .evidence import events_about, evidence_of
from .evidence_file import evidence_file
from .presentation import shown_inputs
from .views import ExecutionView


class EvidenceView(ExecutionView):
    """Not there for who may not read the audit trail, nor for who may not see the execution."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        actor = self.request.actor
        if actor.is_authenticated and not can(actor, "core.audit.read"):
            raise Http404
        return super().dispatch(request, *args, **kwargs)


class Evidence(EvidenceView):
    """The pack as a page to print."""

    template_name = "executions/evidence.html"

    def get(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponse:
        execution = self.execution(execution_id)
        pack = evidence_of(request.actor, execution, made_at=timezone.now())
        proven = {
            line["event"]["id"]: line["seal"] for line in pack["proof"] if line["kind"] == "event"
        }
        return self.render(
            execution=execution,
            pack=pack,
            inputs=shown_inputs(execution.version, execution.inputs),
            events=[
                (event, title_of(event.code), proven.get(str(event.pk)))
                for event in events_about(request.actor, execution)
            ],
            consents=[
                {**shown, "label": one.get_kind_display(), "at": one.at}
                for shown, one in zip(pack["consents"], execution.consents.all(), strict=True)
            ],
            seals=[line["seal"] for line in pack["proof"] if line["kind"] == "seal"],
        )


class EvidenceFile(EvidenceView):
    """The pack as one JSON document, which ``execfabric-cli audit verify`` reads."""

    def get(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponse:
        return evidence_file(request.actor, self.execution(execution_id))
