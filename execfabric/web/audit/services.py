from __future__ import annotations

from collections.abc import Mapping

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.roles import MANAGERS, PLATFORM


@action("core.audit.export", title="Export the audit trail", roles=MANAGERS | PLATFORM)
def export_trail(*, actor: Actor, form: str, selection: Mapping[str, str]) -> None:
    """Say in the trail that it is exported: all of it, or a selection by these filters."""
