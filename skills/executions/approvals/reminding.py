"""Which requests wait for too long, and what those are written who can let them go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from skills.executions.models import Execution
from skills.executions.states import WAITING, Status
from tenants.registry.addresses import url_for_tenant
from tenants.registry.models import Tenant

from .authority import approvers_of
from .rules import rules_in_force
from .voiding import STILL_ASKED


@dataclass(frozen=True, slots=True)
class Reminder:
    subject: str
    text: str
    addresses: list[str]


def overdue(now: datetime) -> QuerySet[Execution]:
    """Return what has waited for people longer than the rules say, and nobody was reminded of."""
    since = now - rules_in_force().remind_after
    return Execution.objects.filter(
        STILL_ASKED, status__in=WAITING, created_at__lt=since, reminded_at__isnull=True
    ).order_by("id")


def reminder_of(execution: Execution, now: datetime) -> Reminder:
    """Return the mail. It names skill, requester and page, never the inputs."""
    requester = execution.requested_by
    name = requester.get_full_name() if requester else _("The platform")
    tenant = Tenant.objects.get(schema_name=connection.schema_name)  # type: ignore[attr-defined]
    page = reverse(
        "executions:execution-detail", urlconf=settings.ROOT_URLCONF, args=[execution.pk]
    )
    if execution.status == Status.AWAITING_CONFIRMATION:
        people = [requester] if requester and requester.is_active else []
        what = _("Your run of %(skill)s waits for your confirmation.")
    else:
        people = list(
            approvers_of(execution.skill, requester_id=execution.requested_by_id, now=now)
        )
        said = set(execution.consents.values_list("account_id", flat=True))
        people = [one for one in people if one.pk not in said]
        what = _("%(who)s's run of %(skill)s waits for your approval.")
    subject = what % {"who": name, "skill": execution.skill.name}
    waits = _("It waits since %(since)s UTC. If nobody acts, it ends by itself and does not run.")
    text = "\n\n".join(
        [
            subject,
            waits % {"since": f"{execution.created_at:%Y-%m-%d %H:%M}"},
            url_for_tenant(tenant, page),
        ]
    )
    addresses = sorted({one.email for one in people if one.email})
    return Reminder(" ".join(subject.split()), text, addresses)
