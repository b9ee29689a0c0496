from __future__ import annotations

from ..closing import ClosedCommand


class Command(ClosedCommand):
    help = "Closed: use open_tenant."
    instead = "use manage.py open_tenant NAME"
