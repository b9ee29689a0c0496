from __future__ import annotations

from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from execfabric.core.permissions import can
from execfabric.core.sealing_state import is_in_time, known_state
from execfabric.core.selectors import audit_events_visible_to
from execfabric.web.requests import ConsoleRequest
from tenants.registry.models import TenantStatus
from tenants.registry.selectors import tenants_visible_to

from ..usage.selectors import runs_over_time
from ..views import LATEST, PlatformView
from .charts import REST, stacked_bars
from .waiting import waiting_for
from .workers import work_now

PERIODS = (7, 30, 90)
USUAL_PERIOD = 30


class Home(PlatformView):
    """The overview. It asks no tenant's schema, however many there are."""

    template_name = "governance/home.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        now = timezone.now()
        tenants = tenants_visible_to(request.actor)
        counted = tenants.order_by().values_list("status").annotate(Count("pk"))
        counts = dict(counted)
        sealing = known_state()
        days = _period(request.GET.get("days", ""))
        runs = runs_over_time(request.actor, now, days=days, top=REST)
        lines = [
            (
                line.label or _("All others"),
                reverse("governance:tenant-detail", args=[line.name]) if line.name else "",
                line.counts,
            )
            for line in runs.lines
        ]
        return self.render(
            counts=[(status, counts.get(status, 0)) for status in TenantStatus],
            waiting=waiting_for(request.actor, now),
            chart=stacked_bars(_("Executions by tenant"), runs.days, lines),
            failed=sum(runs.failed),
            days=days,
            periods=PERIODS,
            work=work_now(now),
            latest=tenants.order_by("-created_at")[:LATEST],
            events=self.latest(audit_events_visible_to(request.actor)),
            may_open=can(request.actor, "registry.tenant.open"),
            sealing=sealing,
            seals_are_late=not is_in_time(sealing, now=now),
        )


def _period(text: str) -> int:
    return int(text) if text in {str(days) for days in PERIODS} else USUAL_PERIOD
