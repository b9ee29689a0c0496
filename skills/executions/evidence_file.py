"""The evidence pack as an answer, the same for page and API."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.sealing.canonical import canonical
from execfabric.web.security import CSP_HEADER, UNTRUSTED_FILE_POLICY

from .evidence import evidence_of
from .models import Execution


def evidence_file(actor: Actor, execution: Execution) -> HttpResponse:
    """Return the pack as one JSON document, written as its proofs want it."""
    pack = evidence_of(actor, execution, made_at=timezone.now())
    response = HttpResponse(canonical(pack) + b"\n", content_type="application/json")
    name = f"evidence-{execution.skill.name}-{execution.pk}.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response[CSP_HEADER] = UNTRUSTED_FILE_POLICY
    response["Cache-Control"] = "no-store"
    return response
