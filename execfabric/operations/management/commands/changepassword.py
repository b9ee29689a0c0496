from __future__ import annotations

from ..closing import ClosedCommand


class Command(ClosedCommand):
    help = "Closed: use change_password."
    instead = "use manage.py change_password TENANT USERNAME"
