from __future__ import annotations

from django.http import HttpResponse

from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from ..selectors import ledger_visible_to


class Ledger(ConsoleView):
    """Request, authentication style and write boundary of each granted resource; nothing else."""

    template_name = "http_access/ledger.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(lines=ledger_visible_to(request.actor))
