from __future__ import annotations

from django.db.models import Q, QuerySet

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import EVERYONE, MANAGERS, PLATFORM, SYSTEM

from .models import Right, Skill, SkillGrant, SkillVersion

permissions.grant("catalogue.skill.read", title="See the skills", roles=EVERYONE)
permissions.grant(
    "catalogue.skill.read_all",
    title="See every skill, granted or not",
    roles=MANAGERS | PLATFORM | SYSTEM,
)


def skills_visible_to(actor: Actor) -> QuerySet[Skill]:
    """Return enabled skills with a bound version that actor may see, with that version, by name."""
    skills = Skill.objects.select_related("version__script_version").filter(
        is_enabled=True, version__isnull=False
    )
    if can(actor, "catalogue.skill.read_all"):
        return skills
    if not can(actor, "catalogue.skill.read"):
        return skills.none()
    return skills.filter(pk__in=_grants_of(actor).values("skill_id"))


def has_right(actor: Actor, skill: Skill, right: Right) -> bool:
    """Return whether a grant gives actor the right; managing all skills gives none to run them."""
    return _grants_of(actor).filter(skill=skill, right=right).exists()


def search_skills(skills: QuerySet[Skill], *, text: str = "", tag: str = "") -> QuerySet[Skill]:
    """Narrow skills to those whose name, title, description or tags hold every word of text."""
    for word in text.split():
        skills = skills.filter(
            Q(name__icontains=word)
            | Q(version__title__icontains=word)
            | Q(version__description__icontains=word)
            | Q(version__tags__icontains=word)
        )
    return skills.filter(version__tags__contains=[tag]) if tag else skills


def tags_of(skills: QuerySet[Skill]) -> list[str]:
    """Return every tag of the bound versions of skills, sorted."""
    return sorted({tag for tags in skills.values_list("version__tags", flat=True) for tag in tags})


def version_of(skill: Skill, number: int | None) -> SkillVersion | None:
    """Return the bound version, or the one with that number; None if there is none."""
    if number is None or (skill.version and skill.version.number == number):
        return skill.version
    return skill.versions.select_related("script_version").filter(number=number).first()


def _grants_of(actor: Actor) -> QuerySet[SkillGrant]:
    return SkillGrant.objects.filter(Q(role__in=actor.roles) | Q(account_id=actor.user_id or -1))
