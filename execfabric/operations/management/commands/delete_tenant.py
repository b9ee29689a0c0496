from __future__ import annotations

from ..closing import ClosedCommand


class Command(ClosedCommand):
    help = "Closed: use the ledger of tenants."
    instead = "close the tenant in the ledger of tenants, and schedule its deletion there"
