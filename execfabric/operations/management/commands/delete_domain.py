from __future__ import annotations

from ..closing import ClosedCommand


class Command(ClosedCommand):
    help = "Closed: the hosts of a tenant are chosen when it is opened."
    instead = "the hosts of a tenant are those it was opened with: use manage.py open_tenant"
