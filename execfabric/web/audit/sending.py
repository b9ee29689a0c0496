"""An export of the trail as an answer, the same for page and API."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import StreamingHttpResponse
from django.utils import timezone

from execfabric.core.actor import Actor, current_schema
from execfabric.web.security import CSP_HEADER, UNTRUSTED_FILE_POLICY

from . import exporting
from .filters import EventFilter
from .services import export_trail

BUNDLE = "bundle"
LINES = "application/x-ndjson"
FORMS = {
    BUNDLE: ("jsonl", LINES),
    "jsonl": ("jsonl", LINES),
    "csv": ("csv", "text/csv; charset=utf-8"),
}
"""Ending and media type of each form of an export."""


def selection_of(found: EventFilter) -> dict[str, str]:
    """Return the filters that are set, by name; none selects everything."""
    cleaned = getattr(found.form, "cleaned_data", None) or {}
    return {name: str(value) for name, value in cleaned.items() if value not in (None, "")}


def send_export(actor: Actor, found: EventFilter, form: str) -> StreamingHttpResponse:
    """Return what valid filters leave of the trail, as one of FORMS; it is read while it is sent.

    Raises NotPermitted, ProofNeeded.
    """
    selection, exported_at = selection_of(found), timezone.now()
    export_trail(actor=actor, form=form, selection=selection)
    if form == BUNDLE and selection:
        lines = exporting.selected_bundle(found.qs, exported_at, selection=selection)
    elif form == BUNDLE:
        lines = exporting.whole_bundle(exported_at)
    else:
        lines = exporting.as_csv(found.qs) if form == "csv" else exporting.as_jsonl(found.qs)
    ending, media_type = FORMS[form]
    kind = "audit" if form == BUNDLE else "audit-events"
    name = f"{kind}-{current_schema()}-{exported_at:%Y%m%dT%H%M%SZ}.{ending}"
    return attached(lines, name, media_type)


def attached(lines: Iterable[bytes], name: str, media_type: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response[CSP_HEADER] = UNTRUSTED_FILE_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response
