"""In the tenant at hand: it can be executed, and everybody finds what they were granted."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Q
from django.utils.translation import gettext as _

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import NotFound
from execfabric.core.permissions import PERMISSIONS, can
from execfabric.core.roles import RUNNERS, TENANT_ROLES
from executors.contract import ExecutorError
from executors.registry import EXECUTORS
from tenants.accounts.actors import actor_for_account
from tenants.accounts.models import Account

from ..environments import check_stored_environment
from ..models import Right, Skill, SkillVersion, Visibility
from ..resources import check_resource
from ..selectors import has_right, skill_to_run, skills_for_assistant, skills_visible_to
from ..workspace import sync_bundle
from .asking import RUN, pretender, version_of
from .report import Check, Report

MOST_ACCOUNTS = 100
"""So many people who hold a right by name or by a group are asked."""


def verify_here(skill: Skill, *, is_published: bool = False) -> Report:
    """Ask whether the bound version of skill can be executed, and as each role what it finds.

    is_published: it comes from the platform's reviewers, and somebody has to be able to run it,
    unless it is for those only that it will be granted to.
    """
    version = version_of(skill)
    checks = [_executable(version), *_roles(skill, version)]
    if not skill.is_enabled:
        text = _("The skill is disabled: nobody sees it until it is enabled.")
        return Report((*checks, Check("here", True, text)))
    people = list(_people(skill, version))
    checks += [check for check, _runs in people]
    runs = any(runs for _check, runs in people) or any(
        Right.RUN.value in held and role in PERMISSIONS[RUN].roles
        for role, held in _rights_of_roles(skill).items()
    )
    if not runs:
        checks.append(_nobody_runs(version, is_published))
    return Report(tuple(checks))


def _executable(version: SkillVersion) -> Check:
    """The kind is served here, and the code and packages are in storage as they were registered."""
    try:
        EXECUTORS.get(version.kind)
        script = version.script_version
        if script is None:
            check_resource(version.kind, dict(version.resource))
        else:
            folder = sync_bundle(script.digest, script.stored_as)
            if not (folder / script.entry).is_file():
                return Check("executable", False, _("Its entry file is missing."))
            if script.environment_id is not None:
                check_stored_environment(script.environment_id)
    except (ExecutorError, NotFound, ObjectDoesNotExist, KeyError):
        text = _("Its code or its packages are not stored as they were registered.")
        return Check("executable", False, text)
    return Check("executable", True, _("Code and packages are as they were registered."))


def _roles(skill: Skill, version: SkillVersion) -> Iterator[Check]:
    """Yield for each role whether it finds exactly what it was granted, and nothing else."""
    rights = _rights_of_roles(skill)
    for role, title in TENANT_ROLES.items():
        actor = pretender(frozenset({role}))
        may_see = bool(rights[role]) or can(actor, "catalogue.skill.read_all")
        may_run = Right.RUN.value in rights[role] and role in PERMISSIONS[RUN].roles
        may_see, may_run = may_see and skill.is_enabled, may_run and skill.is_enabled
        problem = _difference(actor, skill, version, may_see=may_see, may_run=may_run)
        said = (
            _("sees and runs it") if may_run else _("sees it") if may_see else _("does not see it")
        )
        yield Check("here", not problem, f"{title}: {problem or said}.")


def _rights_of_roles(skill: Skill) -> dict[str, set[str]]:
    rights: dict[str, set[str]] = {role: set() for role in TENANT_ROLES}
    for role, right in skill.grants.exclude(role="").values_list("role", "right"):
        rights[role].add(right)
    return rights


def _people(skill: Skill, version: SkillVersion) -> Iterator[tuple[Check, bool]]:
    """Yield what each account with a right by name or by a group finds, and whether it runs it."""
    by_name = skill.grants.filter(account__isnull=False).values("account_id")
    by_group = skill.grants.filter(group__isnull=False).values("group_id")
    holders = Account.objects.filter(
        Q(pk__in=by_name) | Q(memberships__group_id__in=by_group),
        is_active=True,
        role_assignments__isnull=False,
    )
    for account in holders.distinct().order_by("pk")[:MOST_ACCOUNTS]:
        actor = actor_for_account(account, door=Door.PAGE)
        found = skill_to_run(actor, skill.name)
        who = account.username
        if found is None or found.version_id != version.pk:
            text = _("It is granted to %(who)s, but does not show there.") % {"who": who}
            yield Check("here", False, text), False
            continue
        # A grant gives no more than the roles of who holds it allow.
        may_run = bool(actor.roles & RUNNERS) and has_right(actor, found, Right.RUN)
        if may_run != can(actor, RUN, found):
            text = _("It is granted to %(who)s, but does not run for them.") % {"who": who}
            yield Check("here", False, text), False
            continue
        said = _("sees and runs it") if may_run else _("sees it")
        yield Check("here", True, f"{who}: {said}."), may_run


def _nobody_runs(version: SkillVersion, is_published: bool) -> Check:
    if version.visibility == Visibility.GRANTED:
        return Check("here", True, _("Nobody runs it until an administrator here grants it."))
    if is_published:
        return Check("here", False, _("Nobody here may run it. Grant it to a role first."))
    return Check("here", True, _("Nobody is granted to run it."))


def _difference(
    actor: Actor, skill: Skill, version: SkillVersion, *, may_see: bool, may_run: bool
) -> str:
    """Return what an actor can and should not, or cannot and should; empty when all is right."""
    on_page = skills_visible_to(actor).filter(pk=skill.pk, version=version).exists()
    found = skill_to_run(actor, skill.name)
    by_api = found is not None and found.version == version
    runs = found is not None and can(actor, RUN, found)
    offered = skills_for_assistant(actor).filter(pk=skill.pk).exists()
    for is_so, should_be, where in (
        (on_page, may_see, _("on the page of skills")),
        (by_api, may_see, _("by the API")),
        (runs, may_run, _("among what it may run")),
        (offered, may_run and version.ai_callable, _("among the assistant's candidates")),
    ):
        if is_so and not should_be:
            return _("it is %(where)s and must not be") % {"where": where}
        if should_be and not is_so:
            return _("it is not %(where)s and must be") % {"where": where}
    return ""
