from __future__ import annotations

from ..closing import ClosedCommand


class Command(ClosedCommand):
    help = "Closed: use create_admin."
    instead = "use manage.py create_admin USERNAME"
