"""Under which rules a skill version runs. Pages, API, retries: all ask here."""

from __future__ import annotations

from execfabric.core.actor import Door
from execfabric.core.errors import NotPermitted
from skills.catalogue.models import Approval, Risk, SkillVersion

from .states import Status

MANUAL_DOORS = frozenset({Door.PAGE, Door.API, Door.CLI})


def needs_confirmation(version: SkillVersion) -> bool:
    """High risk always does, whatever the skill says; so does a risk we do not know."""
    return version.confirm or version.risk not in {Risk.LOW, Risk.MEDIUM}


def needs_approval(version: SkillVersion) -> bool:
    """An approval rule we do not know counts as one that must be met."""
    return version.approval != Approval.NONE


def first_status(version: SkillVersion) -> Status:
    if needs_confirmation(version):
        return Status.AWAITING_CONFIRMATION
    return status_after_confirmation(version)


def status_after_confirmation(version: SkillVersion) -> Status:
    return Status.AWAITING_APPROVAL if needs_approval(version) else Status.QUEUED


def check_cleared(
    version: SkillVersion,
    *,
    requested_by: int,
    confirmed_by: int | None,
    approved_by: int | None,
) -> None:
    """Raise NotPermitted unless the people the skill demands have let it go on."""
    if needs_confirmation(version) and confirmed_by is None:
        raise NotPermitted("This skill runs only after it was confirmed.")
    if needs_approval(version) and approved_by in (None, requested_by):
        raise NotPermitted("This skill runs only after somebody else approved it.")


def check_door(version: SkillVersion, door: Door) -> None:
    """Raise NotPermitted where the skill's review did not open this entry."""
    if door in MANUAL_DOORS and not version.manual:
        raise NotPermitted("This skill is not open for manual execution.")
