from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django_tables2 import RequestConfig

from execfabric.core.permissions import can
from execfabric.core.selectors import audit_events_visible_to
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from .filters import EventFilter
from .tables import EventTable

PER_PAGE = 50


class EventList(ConsoleView):
    """The audit trail of this host's schema; not there for those who may not read it."""

    template_name = "audit/event_list.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        actor = self.request.actor
        if actor.is_authenticated and not can(actor, "core.audit.read"):
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: ConsoleRequest) -> HttpResponse:
        found = EventFilter(request.GET, queryset=audit_events_visible_to(request.actor))
        table = EventTable(found.qs)
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        return self.render(filter=found, table=table)
