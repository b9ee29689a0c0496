"""What those who manage or develop skills see of them, beyond the version in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Coalesce

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import MANAGERS, SYSTEM, Role
from skills.catalogue.differences import Difference, compare
from skills.catalogue.models import Skill, SkillBinding, SkillVersion, Withdrawal
from skills.catalogue.selectors import IS_PUBLISHED, skills_visible_to

permissions.grant(
    "catalogue.version.read",
    title="See the versions of a skill and what changed",
    roles=MANAGERS | SYSTEM | {Role.DEVELOPER},
)
permissions.grant(
    "catalogue.source.read",
    title="See the code of the workspace's own skills",
    roles=MANAGERS | {Role.DEVELOPER},
)
permissions.grant(
    "catalogue.skill.manage", title="Manage skills, disabled ones too", roles=MANAGERS
)


def skills_managed_by(actor: Actor) -> QuerySet[Skill]:
    """Return every skill, disabled or without a version in use too, to who manages them."""
    skills = Skill.objects.select_related("version__script_version__environment")
    return skills if can(actor, "catalogue.skill.manage") else skills.none()


def skills_with_history(actor: Actor) -> QuerySet[Skill]:
    """Return the skills whose versions actor may read about.

    Managers: all. Developers: those they see in the catalogue.
    """
    if can(actor, "catalogue.skill.manage"):
        return skills_managed_by(actor)
    if can(actor, "catalogue.version.read"):
        return skills_visible_to(actor)
    return Skill.objects.none()


def versions_of(skill: Skill) -> QuerySet[Any]:
    """Return the versions of skill, the newest first, with script, packages and base.

    And with ``withdrawn``: why the platform recalled its files, empty where it did not; and
    ``is_published``: whether it may be put in use, as ``services.require_published`` says.
    """
    same_files = Q(version__script_version__digest=OuterRef("script_version__digest"))
    recalls = Withdrawal.objects.filter(Q(version=OuterRef("pk")) | same_files)
    reason = Subquery(recalls.order_by("withdrawn_at").values("reason")[:1])
    return skill.versions.select_related("script_version__environment", "based_on").annotate(
        withdrawn=Coalesce(reason, Value(""), output_field=TextField()),
        is_published=IS_PUBLISHED,
    )


def bindings_of(skill: Skill) -> QuerySet[SkillBinding]:
    """Return when which version came into use, the last first."""
    return skill.bindings.select_related("version", "replaced").defer(
        *(f"{row}__{field}" for row in ("version", "replaced") for field in LONG_FIELDS)
    )


LONG_FIELDS = ("readme", "input_schema", "output_schema")


def may_see_code(actor: Actor, skill: Skill) -> bool:
    """Return whether actor may read the files of skill; of ``public/`` scripts nobody here may."""
    return not skill.is_public and can(actor, "catalogue.source.read")


def difference(actor: Actor, old: SkillVersion, new: SkillVersion, skill: Skill) -> Difference:
    """Return what differs between two versions of skill, as far as actor may see it."""
    return compare(old, new, with_files=may_see_code(actor, skill))


def version_before(skill: Skill) -> SkillVersion | None:
    """Return to which version a rollback leads: the last one before that was ever in use.

    One that the platform withdrew is passed over. For skills from before bindings were written
    down, simply the last one before.
    """
    if skill.version is None:
        return None
    older = versions_of(skill).filter(number__lt=skill.version.number, withdrawn="")
    bound = skill.bindings.values("version_id")
    replaced = skill.bindings.filter(replaced__isnull=False).values("replaced_id")
    used = older.filter(Q(pk__in=bound) | Q(pk__in=replaced)).first()
    return used or (None if skill.bindings.exists() else older.first())


@dataclass(frozen=True, slots=True)
class HistoryRow:
    version: SkillVersion
    is_in_use: bool
    change: Difference | None
    """From the version before; None for the first."""
    withdrawn: str = ""
    """Why the platform recalled its files; empty where it did not."""
    is_published: bool = True
    """Whether it may be put in use: one that is only registered may not."""


def history_of(skill: Skill, *, before: int | None = None, limit: int = 50) -> list[HistoryRow]:
    """Return the last versions of skill, below the number before, and what each changed."""
    versions = versions_of(skill)
    if before is not None:
        versions = versions.filter(number__lt=before)
    rows = list(versions[: limit + 1])
    return [
        HistoryRow(
            version=version,
            is_in_use=version.pk == skill.version_id,
            change=compare(rows[place + 1], version) if place + 1 < len(rows) else None,
            withdrawn=version.withdrawn,
            is_published=version.is_published,
        )
        for place, version in enumerate(rows[:limit])
    ]
