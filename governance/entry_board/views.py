from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpResponse

from execfabric.web.requests import ConsoleRequest

from ..views import PlatformView
from . import selectors
from .entries import check_entries

PER_PAGE = 20


class EntryBoard(PlatformView):
    """All entries side by side, each asked now: for integration tests, not for customers."""

    template_name = "governance/entry_board.html"
    permission = selectors.READ

    def get(self, request: ConsoleRequest) -> HttpResponse:
        domains = selectors.domains_visible_to(request.actor)
        page = Paginator(domains, PER_PAGE).get_page(request.GET.get("page"))
        checked = check_entries(page.object_list)
        failing = sum(not one.works for one in checked)
        return self.render(page=page, checked=checked, failing=failing)
