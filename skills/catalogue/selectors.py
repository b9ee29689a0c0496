from __future__ import annotations

import functools

from django.db.models import Exists, Q, QuerySet, Subquery, TextField, Value
from django.db.models.expressions import OuterRef
from django.db.models.functions import Coalesce

from execfabric.core import permissions, statements
from execfabric.core.actor import Actor, current_schema
from execfabric.core.audit import storable
from execfabric.core.permissions import can
from execfabric.core.roles import EVERYONE, MANAGERS, PLATFORM, SYSTEM
from tenants.accounts.groups.selectors import group_ids_of
from tenants.accounts.models import Account, GroupMember, RoleAssignment

from .errors import VersionWithdrawn
from .models import (
    Right,
    Skill,
    SkillBinding,
    SkillGrant,
    SkillVersion,
    Verification,
    Withdrawal,
)

IS_PUBLISHED = Exists(SkillBinding.objects.filter(version=OuterRef("pk"))) | Exists(
    Verification.objects.filter(version=OuterRef("pk"))
)
"""Of versions: they were in use, or were verified for it. Others are only registered."""

permissions.grant("catalogue.skill.read", title="See the skills", roles=EVERYONE)
permissions.grant(
    "catalogue.skill.read_all",
    title="See every skill, granted or not",
    roles=MANAGERS | PLATFORM | SYSTEM,
)


def skills_visible_to(actor: Actor) -> QuerySet[Skill]:
    """Return enabled skills with a bound version that actor may see, with that version, by name.

    Withdrawn ones are among them, and say so.
    """
    reason = Withdrawal.objects.filter(version=OuterRef("version_id")).values("reason")
    known = {"withdrawn": Coalesce(Subquery(reason), Value(""), output_field=TextField())}
    skills: QuerySet[Skill] = Skill.objects.select_related("version__script_version")
    skills = skills.filter(is_enabled=True, version__isnull=False).annotate(**known)
    if can(actor, "catalogue.skill.read_all"):
        return skills
    if not can(actor, "catalogue.skill.read"):
        return skills.none()
    return skills.filter(pk__in=_grants_of(actor).values("skill_id"))


def skills_for_assistant(actor: Actor) -> QuerySet[Skill]:
    """Return the skills that an assistant may offer actor: the only candidates there are."""
    runnable = _grants_of(actor).filter(right=Right.RUN).values("skill_id")
    return skills_visible_to(actor).filter(
        pk__in=runnable, version__ai_callable=True, version__withdrawal__isnull=True
    )


def skill_to_run(actor: Actor, name: str) -> Skill | None:
    """Return the enabled skill of that name with its bound version, if actor may see it.

    One statement for the skill and what grants give actor; the version, which never changes, is
    known after its first run.
    """
    found = statements.send(_SKILL_WITH_GRANTS, [*_grantee(actor), storable(name)])
    if not found:
        return None
    *values, rights, reason = found[0]
    skill = statements.stored_row(Skill, _SKILL_FIELDS, values)
    skill.rights = (actor, frozenset(rights))
    skill.withdrawn = reason or ""
    sees_all = can(actor, "catalogue.skill.read_all")
    if not sees_all and not (rights and can(actor, "catalogue.skill.read")):
        return None
    skill.version = known_version(values[_SKILL_FIELDS.index("version_id")])
    return skill


def skill_remembered(actor: Actor, name: str) -> Skill | None:
    """Return what ``skill_to_run`` found for this very actor before, if ``remember_skill`` kept it.

    It is everybody's: change nothing on it. It may be right no more: is_from_memory.
    """
    return _remembered.get((actor, name))


def remember_skill(actor: Actor, skill: Skill) -> None:
    """Keep skill, as ``skill_to_run`` found it, for later requests of actor; it has run."""
    if len(_remembered) >= MOST_REMEMBERED:
        _remembered.clear()
    skill.is_from_memory = True
    _remembered[actor, skill.name] = skill


def forget_skill(actor: Actor, name: str) -> None:
    _remembered.pop((actor, name), None)


def holds_still(actor: Actor, skill: Skill) -> list[object]:
    """Return the values of HOLDS_STILL for a skill that is remembered."""
    return [skill.pk, skill.name, skill.version_id, *_grantee(actor)]


MOST_REMEMBERED = 1000
_remembered: dict[tuple[Actor, str], Skill] = {}

_GRANTED_TO = """(
    granted.role = ANY(%s) OR granted.account_id = %s::bigint
    OR granted.group_id IN (
        SELECT member.group_id FROM accounts_groupmember member
        WHERE member.account_id = %s::bigint
    )
)"""
HOLDS_STILL = f"""EXISTS (
    SELECT 1 FROM catalogue_skill skill
    WHERE skill.id = %s AND skill.name = %s AND skill.version_id = %s AND skill.is_enabled
        AND NOT EXISTS (
            SELECT 1 FROM catalogue_withdrawal gone WHERE gone.version_id = skill.version_id
        )
        AND EXISTS (
            SELECT 1 FROM catalogue_skillgrant granted
            WHERE granted.skill_id = skill.id AND granted."right" = '{Right.RUN}' AND {_GRANTED_TO}
        )
)"""  # noqa: S608 - a word of our own
"""SQL for whether a skill that is remembered may be run by the same actor now, as it is kept."""


def _grantee(actor: Actor) -> list[object]:
    account_id = actor.user_id or -1
    return [sorted(actor.roles), account_id, account_id]


_SKILL_FIELDS = [field.attname for field in Skill._meta.concrete_fields]
_SKILL_WITH_GRANTS = f"""
    SELECT {", ".join(_SKILL_FIELDS)},
        ARRAY(
            SELECT DISTINCT granted."right" FROM catalogue_skillgrant granted
            WHERE granted.skill_id = skill.id AND {_GRANTED_TO}
        ),
        (SELECT reason FROM catalogue_withdrawal gone WHERE gone.version_id = skill.version_id)
    FROM catalogue_skill skill WHERE name = %s AND is_enabled AND version_id IS NOT NULL
"""  # noqa: S608 - names of our own columns


def known_version(version_id: int) -> SkillVersion:
    """Return a version with its script version, from memory if it was asked for before.

    A version never changes. What is returned is everybody's: change nothing on it, and ask it for
    nothing that does change, such as its skill.
    """
    return _version(current_schema(), version_id)


@functools.lru_cache(maxsize=1000)
def _version(_schema: str, version_id: int) -> SkillVersion:
    return SkillVersion.objects.select_related("script_version__script").get(pk=version_id)


def reason_withdrawn(skill: Skill) -> str:
    """Return why the platform withdrew the version in use; empty when it did not."""
    if skill.withdrawn is None:
        skill.withdrawn = reason_version_withdrawn(skill.version_id)
    return skill.withdrawn


def reason_version_withdrawn(version_id: int | None) -> str:
    """Return why the platform withdrew a version; empty when it did not."""
    found = Withdrawal.objects.filter(version_id=version_id).values_list("reason", flat=True)
    return found.first() or ""


def not_withdrawn(version: SkillVersion) -> SkillVersion:
    """Return version. Raises VersionWithdrawn where the platform has recalled it."""
    if reason := reason_version_withdrawn(version.pk):
        raise VersionWithdrawn(reason)
    return version


def has_right(actor: Actor, skill: Skill, right: Right) -> bool:
    """Return whether a grant gives actor the right; managing all skills gives none to run them."""
    known_of, rights = skill.rights
    if known_of == actor:
        return right in rights
    return _grants_of(actor).filter(skill=skill, right=right).exists()


def holds_somewhere(actor: Actor, right: Right) -> bool:
    """Return whether a grant gives actor the right on any skill."""
    return _grants_of(actor).filter(right=right).exists()


def skills_granted(
    right: Right, actor: Actor, *, lent_by: QuerySet[Account]
) -> QuerySet[SkillGrant]:
    """Return the grants of right that actor holds, or that one of lent_by does.

    For a subquery on ``skill_id``. See also ``holders_of``, which asks the other way round.
    """
    roles = RoleAssignment.objects.filter(account__in=lent_by).values("role")
    groups = GroupMember.objects.filter(account__in=lent_by).values("group_id")
    lent = Q(account__in=lent_by) | Q(role__in=roles) | Q(group__in=groups)
    return SkillGrant.objects.filter(held_by(actor) | lent, right=right)


def holders_of(skill: Skill, right: Right) -> QuerySet[Account]:
    """Return the active accounts to which a grant gives the right on skill, by username."""
    grants = SkillGrant.objects.filter(skill=skill, right=right)
    roles = grants.exclude(role="").values("role")
    holders = RoleAssignment.objects.filter(role__in=roles).values("account_id")
    groups = grants.filter(group__isnull=False).values("group_id")
    members = GroupMember.objects.filter(group__in=groups).values("account_id")
    named = grants.filter(account__isnull=False).values("account_id")
    return Account.objects.filter(
        Q(pk__in=holders) | Q(pk__in=members) | Q(pk__in=named), is_active=True
    ).order_by("username")


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
    return SkillGrant.objects.filter(held_by(actor))


def held_by(actor: Actor) -> Q:
    """Return which grants are actor's: by a role, by a group, or by name."""
    return (
        Q(role__in=actor.roles)
        | Q(account_id=actor.user_id or -1)
        | Q(group__in=group_ids_of(actor.user_id))
    )
