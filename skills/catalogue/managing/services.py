"""What a tenant's administrators do with the skills of their workspace."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.audit import storable
from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.roles import MANAGERS
from skills.catalogue.models import Skill, SkillGrant, SkillVersion
from skills.catalogue.services import (
    locked_skill,
    next_number,
    put_in_use,
    require_not_recalled,
    require_published,
    require_verified,
)

from .editing import edited
from .grants import Entitlement, entitlements_of, fingerprint, rows_for
from .selectors import version_before

LONGEST_REASON = 200
"""So that the whole of it stands in the audit trail."""


class ChangedMeanwhile(Conflict):
    """Somebody else changed it since the caller looked; nothing of this was done."""

    code = "changed_meanwhile"


@action(
    "catalogue.skill.bind", title="Put a version of a skill in use", roles=MANAGERS, target="skill"
)
def bind_version(
    *,
    actor: Actor,
    skill: Skill,
    version: SkillVersion,
    reason: str,
    pin: bool = False,
    expected: int | None = None,
) -> Skill:
    """Make version the one that runs, once it is verified; runs that go on finish on theirs.

    pin: keep it when a newer one is published. expected: number of the version the caller believes
    to be in use, None for any. Raises InvalidInput, ChangedMeanwhile, NotVerified, Conflict.
    """
    reason = checked_reason(reason)
    locked = _expected(skill, expected)
    if version.skill_id != locked.pk:
        raise InvalidInput("This version belongs to another skill.")
    if version.pk == locked.version_id and pin == locked.is_pinned:
        raise Conflict(f"Version {version.number} is in use already.")
    if version.pk != locked.version_id:
        require_published(version)
        put_in_use(locked, version, actor=actor, reason=reason, verify=require_verified)
    locked.is_pinned = pin
    locked.save(update_fields=["is_pinned"])
    return locked


@action("catalogue.skill.roll_back", title="Roll a skill back", roles=MANAGERS, target="skill")
def roll_back(*, actor: Actor, skill: Skill, reason: str, expected: int | None = None) -> Skill:
    """Put the version that was in use before in use again.

    Raises InvalidInput, ChangedMeanwhile, NotVerified, Conflict (there is none).
    """
    reason = checked_reason(reason)
    locked = _expected(skill, expected)
    target = version_before(locked)
    if target is None:
        raise Conflict("No earlier version was in use. Choose one of the list.")
    put_in_use(locked, target, actor=actor, reason=reason, verify=require_verified)
    return locked


@action("catalogue.skill.disable", title="Disable a skill", roles=MANAGERS, target="skill")
def disable_skill(*, actor: Actor, skill: Skill, reason: str) -> Skill:
    """Take skill away from everybody; what is queued does not start, what runs goes on.

    Raises InvalidInput, Conflict.
    """
    reason = checked_reason(reason)
    locked = locked_skill(skill)
    if not locked.is_enabled:
        raise Conflict(f"{locked.name} is disabled already.")
    locked.is_enabled, locked.disabled_reason = False, reason
    locked.save(update_fields=["is_enabled", "disabled_reason"])
    return locked


@action("catalogue.skill.enable", title="Enable a skill", roles=MANAGERS, target="skill")
def enable_skill(*, actor: Actor, skill: Skill, reason: str) -> Skill:
    """Give skill back to those it is granted to, once its version is verified.

    Raises InvalidInput, Conflict, NotVerified.
    """
    checked_reason(reason)
    locked = locked_skill(skill)
    if locked.is_enabled:
        raise Conflict(f"{locked.name} is enabled already.")
    locked.is_enabled, locked.disabled_reason = True, ""
    locked.save(update_fields=["is_enabled", "disabled_reason"])
    if locked.version is not None:
        require_verified(locked)
    return locked


@action(
    "catalogue.skill.edit", title="Edit the description of a skill", roles=MANAGERS, target="skill"
)
def edit_skill(
    *,
    actor: Actor,
    skill: Skill,
    changes: Mapping[str, Any],
    reason: str,
    expected: int | None = None,
) -> SkillVersion:
    """Make a new version with other texts or stricter rules on the same script; put it in use.

    changes are by field, see ``editing.edited``. Raises InvalidInput (also for what must go to
    review), NotPermitted (the platform's skill), ChangedMeanwhile, NotVerified, Conflict.
    """
    reason = checked_reason(reason)
    locked = _expected(skill, expected)
    require_own(locked)
    if locked.version is None:
        raise Conflict(f"{locked.name} has no version in use that could be edited.")
    require_not_recalled(locked.version)
    version = edited(locked.version, changes)
    version.number = next_number(locked.versions)
    version.author, version.note = actor.username, reason
    version.save(force_insert=True)
    put_in_use(locked, version, actor=actor, reason=reason, verify=require_verified)
    return version


@action(
    "catalogue.grant.change", title="Change who may use a skill", roles=MANAGERS, target="skill"
)
def change_grants(
    *,
    actor: Actor,
    skill: Skill,
    give: Collection[Entitlement] = (),
    take: Collection[Entitlement] = (),
    reason: str,
    seen: str = "",
) -> Skill:
    """Give and take rights on skill, all or nothing; it holds at once.

    What is given already, or taken already, stays so. seen: fingerprint of the grants the caller
    looked at, empty for any. Raises InvalidInput, ChangedMeanwhile.
    """
    checked_reason(reason)
    locked = locked_skill(skill)
    held = entitlements_of(locked)
    if seen and seen != fingerprint(held):
        raise ChangedMeanwhile(
            "Somebody changed these rights meanwhile. Look at them and try again; "
            "nothing was changed."
        )
    if both := set(give) & set(take):
        raise InvalidInput(f"{min(both).who} cannot be given and denied the same right.")
    for row in rows_for(locked, take):
        SkillGrant.objects.filter(
            skill=locked, role=row.role, group=row.group, account=row.account, right=row.right
        ).delete()
    SkillGrant.objects.bulk_create(rows_for(locked, give), ignore_conflicts=True)
    return locked


def require_own(skill: Skill) -> None:
    """Raise NotPermitted when skill is a ``public/`` one, which only the platform changes."""
    if skill.is_public:
        raise NotPermitted(
            f"{skill.name} is maintained by the platform. You may enable, disable and grant it, "
            "and choose its version, but not change it."
        )


def checked_reason(reason: str) -> str:
    """Return reason as it is stored. Raises InvalidInput where there is none, or too much."""
    reason = storable(reason).strip()
    if not reason:
        raise InvalidInput(
            "Give a reason.", fields={"reason": "Say why; the audit trail keeps it."}
        )
    if len(reason) > LONGEST_REASON:
        why = f"Use {LONGEST_REASON} characters at most."
        raise InvalidInput("The reason is too long.", fields={"reason": why})
    return reason


def _expected(skill: Skill, number: int | None) -> Skill:
    """Return skill, locked. Raises ChangedMeanwhile when another version is in use."""
    locked = locked_skill(skill)
    in_use = locked.version.number if locked.version else 0
    if number is not None and number != in_use:
        raise ChangedMeanwhile(
            f"Somebody changed this meanwhile: version {in_use} is in use now, not {number}. "
            "Look at it and try again; nothing was changed."
        )
    return locked
