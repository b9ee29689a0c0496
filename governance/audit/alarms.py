"""Which duties towards audit trails are not done, for the alarm of the sealing clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from execfabric.core.models import AuditSeal
from execfabric.core.storage import SEALS
from tenants.registry.models import Tenant

from .models import Upkeep
from .sending import COPIES, EMAIL
from .tasks import ARCHIVE

TOLERATED = 2
"""Failures in a row of one duty; another try often helps."""
NOBODY_LOOKS = timedelta(hours=1)
WORDS = {
    ARCHIVE: "Archiving",
    EMAIL: "Seals by e-mail",
    "storage": "Copies of seals to the storage",
    "webhook": "Copies of seals by webhook",
}


def troubles(now: datetime) -> dict[str, str]:
    """Return what fails, and why. In the public schema only."""
    found: dict[str, str] = {}
    schemas = Tenant.objects.values("schema_name")  # A tenant that was deleted rings no alarm.
    for each in Upkeep.objects.filter(failing_since__isnull=False, schema__in=schemas):
        if each.failures >= TOLERATED or each.duty == ARCHIVE:
            found[f"{WORDS.get(each.duty, each.duty)}, {each.schema}"] = each.reason
    if _is_wanted():
        looked = Upkeep.objects.filter(duty=COPIES).values_list("done_at", flat=True).first()
        # Where nobody ever looked, seals wait since the first one was made.
        since = looked or AuditSeal.objects.values_list("made_at", flat=True).first()
        if since is not None and now - since > NOBODY_LOOKS:
            found["Copies of seals"] = (
                f"Nobody sent any since {since:%Y-%m-%d %H:%M} UTC: is the worker of the queue "
                "hot-update running?"
            )
    return found


def _is_wanted() -> bool:
    return bool(settings.SEALS_WEBHOOK_URL or settings.SEALS_EMAIL or SEALS in settings.STORAGES)
