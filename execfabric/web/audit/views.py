from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django_tables2 import RequestConfig

from execfabric.core.permissions import can
from execfabric.core.selectors import audit_events_visible_to, trail_views_visible_to
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from .filters import LOGINS, LOGS, EventFilter
from .sending import FORMS, selection_of, send_export
from .services import delete_view, save_view
from .tables import EventTable, LoginTable

PER_PAGE = 50


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
        return send_export(request.actor, found, form)
