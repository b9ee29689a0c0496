from __future__ import annotations

from collections.abc import Mapping

from django.db import IntegrityError, transaction

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.models import SavedTrailView
from execfabric.core.permissions import target_rule
from execfabric.core.roles import MANAGERS, PLATFORM

MOST_VIEWS = 100
"""Of one account."""


@action(
    "core.audit.export",
    title="Export the audit trail",
    roles=MANAGERS | PLATFORM,
    needs_proof=True,
)
def export_trail(*, actor: Actor, form: str, selection: Mapping[str, str]) -> None:
    """Say in the trail that it is exported: all of it, or a selection by these filters."""


@action("core.view.save", title="Save a view of the audit trail", roles=MANAGERS | PLATFORM)
def save_view(
    *, actor: Actor, name: str, query: Mapping[str, str], is_shared: bool
) -> SavedTrailView:
    """Keep filters under a name, for the actor or for all who read this trail.

    Raises InvalidInput, Conflict (the actor has a view of that name).
    """
    owner_id = actor.require_account()
    if not name.strip() or len(name) > 80:
        wrong = "Give a name of at most 80 characters."
        raise InvalidInput(wrong, fields={"name": wrong})
    if SavedTrailView.objects.filter(owner_id=owner_id).count() >= MOST_VIEWS:
        raise Conflict(f"You have {MOST_VIEWS} views; delete one first.")
    try:
        with transaction.atomic():
            return SavedTrailView.objects.create(
                owner_id=owner_id,
                owner_name=actor.username,
                name=name.strip(),
                query=dict(query),
                is_shared=is_shared,
            )
    except IntegrityError:
        raise Conflict(f"You have a view named {name.strip()} already.") from None


@action(
    "core.view.delete",
    title="Delete a view of the audit trail",
    roles=MANAGERS | PLATFORM,
    target="view",
)
def delete_view(*, actor: Actor, view: SavedTrailView) -> None:
    view.delete()


@target_rule("core.view.delete")
def _is_own(actor: Actor, target: object) -> bool:
    return isinstance(target, SavedTrailView) and target.owner_id == actor.user_id
