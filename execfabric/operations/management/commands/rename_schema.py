from __future__ import annotations

from ..closing import ClosedCommand


class Command(ClosedCommand):
    help = "Closed: the name of a schema stays."
    instead = "the name of a schema stays, since seals and secrets are bound to it"
