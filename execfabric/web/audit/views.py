from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tables2 import RequestConfig

from execfabric.core.actor import current_schema
from execfabric.core.permissions import can
from execfabric.core.selectors import audit_events_visible_to, trail_views_visible_to
from execfabric.web.requests import ConsoleRequest
from execfabric.web.security import CSP_HEADER, UNTRUSTED_FILE_POLICY
from execfabric.web.views import ConsoleView

from . import exporting
from .filters import LOGINS, LOGS, EventFilter
from .services import delete_view, export_trail, save_view
from .tables import EventTable, LoginTable

PER_PAGE = 50
BUNDLE = "bundle"
FORMS = {
    BUNDLE: ("jsonl", "application/x-ndjson"),
    "jsonl": ("jsonl", "application/x-ndjson"),
    "csv": ("csv", "text/csv; charset=utf-8"),
}
"""Ending and media type of each form of an export."""


class TrailView(ConsoleView):
    """A page about the audit trail of this host's schema; not there for who may not read it."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        actor = self.request.actor
        if actor.is_authenticated and not can(actor, "core.audit.read"):
            raise Http404
        return super().dispatch(request, *args, **kwargs)


class EventList(TrailView):
    template_name = "audit/event_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        found = EventFilter(request.GET, queryset=audit_events_visible_to(request.actor))
        log = request.GET.get("log", "")
        table = LoginTable(found.qs) if log == LOGINS else EventTable(found.qs)
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        selection = selection_of(found)
        return self.render(
            filter=found,
            table=table,
            log=log,
            logs=LOGS.items(),
            about=selection.get("object", "").partition(":")[2],
            selection=selection,
            may_save=can(request.actor, "core.view.save"),
            may_export=can(request.actor, "core.audit.export"),
        )


class ViewList(TrailView):
    """Filters under a name: the own ones, and those others share. A post keeps some more."""

    template_name = "audit/view_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(
            views=[
                (view, urlencode(view.query), view.owner_id == request.actor.user_id)
                for view in trail_views_visible_to(request.actor)
            ]
        )

    def post(self, request: ConsoleRequest) -> HttpResponse:
        found = EventFilter(request.POST, queryset=audit_events_visible_to(request.actor))
        if not found.is_valid():
            messages.error(request, _("Choose filters that fit."))
            return redirect("audit:event-list")
        query = selection_of(found)
        view = save_view(
            actor=request.actor,
            name=request.POST.get("name", ""),
            query=query,
            is_shared=request.POST.get("is_shared") == "on",
        )
        messages.success(request, _("The view %(name)s is saved.") % {"name": view.name})
        return redirect(f"{reverse('audit:event-list')}?{urlencode(query)}")


class DeleteView(TrailView):
    def post(self, request: ConsoleRequest, view_id: int) -> HttpResponse:
        view = get_object_or_404(trail_views_visible_to(request.actor), pk=view_id)
        delete_view(actor=request.actor, view=view)
        messages.success(request, _("The view is deleted."))
        return redirect("audit:view-list")


class Export(TrailView):
    """The trail, or what the filters of the page leave of it, as a file."""

    def post(self, request: ConsoleRequest) -> HttpResponseBase:
        form = request.POST.get("form", "")
        found = EventFilter(request.POST, queryset=audit_events_visible_to(request.actor))
        if form not in FORMS or not found.is_valid():
            messages.error(request, _("Choose a form of the export, and filters that fit."))
            return redirect("audit:event-list")
        selection, exported_at = selection_of(found), timezone.now()
        export_trail(actor=request.actor, form=form, selection=selection)
        if form == BUNDLE and selection:
            lines = exporting.selected_bundle(found.qs, exported_at, selection=selection)
        elif form == BUNDLE:
            lines = exporting.whole_bundle(exported_at)
        else:
            lines = exporting.as_csv(found.qs) if form == "csv" else exporting.as_jsonl(found.qs)
        ending, media_type = FORMS[form]
        kind = "audit" if form == BUNDLE else "audit-events"
        return _attached(
            lines, f"{kind}-{current_schema()}-{exported_at:%Y%m%dT%H%M%SZ}.{ending}", media_type
        )


def selection_of(found: EventFilter) -> dict[str, str]:
    """Return the filters that are set, by name; none selects everything."""
    cleaned = getattr(found.form, "cleaned_data", None) or {}
    return {name: str(value) for name, value in cleaned.items() if value not in (None, "")}


def _attached(lines: Iterable[bytes], name: str, media_type: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response[CSP_HEADER] = UNTRUSTED_FILE_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response
