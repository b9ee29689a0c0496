"""Removing stored script files that came to nothing: sent, and never submitted or registered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import NotFound
from execfabric.core.roles import SYSTEM
from execfabric.core.storage import delete_file, stored_at, stored_in
from skills.catalogue.models import ScriptVersion
from skills.catalogue.workspace import BUNDLES

UNCLAIMED_AFTER = timedelta(days=7)
"""Longer than the page of a submission is good for; whoever sends the same files again stores them
anew."""
STEP = 50
"""Bundles that one act removes; a sweep does one for each schema."""


def sweep_bundles(submitted: Collection[str], now: datetime) -> None:
    """Remove what nobody claimed from the bundles of the current schema.

    submitted: the storage names of all that this tenant submitted, whatever became of it. Those and
    the versions of its scripts stay, so that what ran can be looked at and used again.
    """
    names = stored_in(BUNDLES)
    registered = ScriptVersion.objects.filter(stored_as__in=names)
    unclaimed = {*names} - {*submitted} - {*registered.values_list("stored_as", flat=True)}
    old = [name for name in sorted(unclaimed) if _is_old(name, now)]
    if old:
        remove_bundles(actor=Actor.system("retention"), names=old[:STEP])


@action("hot_update.bundle.tidy", title="Remove script files nobody submitted", roles=SYSTEM)
def remove_bundles(*, actor: Actor, names: Sequence[str]) -> None:
    """Remove stored bundles that nothing refers to."""
    for name in names:
        delete_file(name)


def _is_old(name: str, now: datetime) -> bool:
    try:
        return stored_at(name) < now - UNCLAIMED_AFTER
    except NotFound:  # Another sweep was faster.
        return False
