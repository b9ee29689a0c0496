from __future__ import annotations

from ..closing import ClosedCommand


class Command(ClosedCommand):
    help = "Closed: use open_tenant."
    instead = "a tenant's owner is made by manage.py open_tenant"
