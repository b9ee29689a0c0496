"""Whether a version in use is where it must be, and nowhere else.

Asked through the same selectors and the same permission check as pages, API and assistant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.errors import NotFound
from execfabric.core.permissions import PERMISSIONS, can
from execfabric.core.roles import PLATFORM, TENANT_ROLES, Role
from execfabric.core.storage import open_file
from tenants.accounts.actors import actor_for_account
from tenants.accounts.models import Account
from tenants.registry.models import Tenant

from ..models import Right, Skill, SkillVersion, Visibility
from ..selectors import skill_to_run, skills_for_assistant, skills_visible_to

RUN = "executions.execution.request"
MOST_ACCOUNTS = 100
"""So many people are tried where no role may run the skill."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    """"here", or the name of another tenant."""
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    findings: tuple[Finding, ...] = field(default=())

    def __add__(self, other: Report) -> Report:
        return Report((*self.findings, *other.findings))

    @property
    def problems(self) -> list[str]:
        return [each.text for each in self.findings if not each.ok]

    def document(self) -> dict[str, Any]:
        return {
            "checks": [
                {"check": each.check, "ok": each.ok, "text": each.text} for each in self.findings
            ]
        }

    def without_names(self) -> Report:
        """Return the same for a tenant, which must not read the names of others."""
        if self.problems:
            raise ValueError("Problems elsewhere are the platform's alone.")
        text = _("No other tenant sees or runs it; %(count)d were asked.")
        return Report((Finding("elsewhere", True, text % {"count": len(self.findings)}),))


def verify_here(skill: Skill) -> Report:
    """Ask as each role of the tenant at hand what it sees and runs of a skill in use."""
    version = _version_of(skill)
    rights: dict[str, set[str]] = {role: set() for role in TENANT_ROLES}
    for role, right in skill.grants.exclude(role="").values_list("role", "right"):
        rights[role].add(right)
    runners, findings = [], []
    for role, title in TENANT_ROLES.items():
        actor = _pretender(frozenset({role}))
        may_see = bool(rights[role]) or can(actor, "catalogue.skill.read_all")
        may_run = Right.RUN.value in rights[role] and role in PERMISSIONS[RUN].roles
        may_see, may_run = may_see and skill.is_enabled, may_run and skill.is_enabled
        problem = _difference(actor, skill, version, may_see=may_see, may_run=may_run)
        said = (
            _("sees and runs it") if may_run else _("sees it") if may_see else _("does not see it")
        )
        findings.append(Finding("here", not problem, f"{title}: {problem or said}."))
        if may_run:
            runners.append(role)
    if not skill.is_enabled:
        findings.append(Finding("here", True, _("This tenant has switched the skill off.")))
    elif not runners:
        findings.append(_somebody_runs(skill, version))
    return Report(tuple(findings))


def verify_elsewhere(skill: Skill) -> Report:
    """Ask in every other schema, with every role at once, for anything of this tenant."""
    owner = current_schema()
    script = _version_of(skill).script_version
    with schema_context(get_public_schema_name()):
        others = list(Tenant.objects.exclude(schema_name=owner).order_by("schema_name"))
    findings = []
    for tenant in others:
        with schema_context(tenant.schema_name):
            roles = PLATFORM if tenant.is_platform else frozenset(TENANT_ROLES)
            problem = _trace_of(owner, skill.name, script.stored_as if script else "", roles)
        said = _("%(tenant)s: %(what)s.") % {
            "tenant": tenant.name,
            "what": problem or _("neither sees nor runs it"),
        }
        findings.append(Finding(tenant.name, not problem, said))
    return Report(tuple(findings))


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


def _somebody_runs(skill: Skill, version: SkillVersion) -> Finding:
    """Find one account that may run a skill which no role as such may run."""
    for account in Account.objects.filter(is_active=True).order_by("pk")[:MOST_ACCOUNTS]:
        actor = actor_for_account(account, door=Door.PAGE)
        found = skill_to_run(actor, skill.name)
        if found is not None and found.version == version and can(actor, RUN, found):
            return Finding("here", True, _("%(who)s runs it.") % {"who": account.username})
    if version.visibility == Visibility.GRANTED:
        return Finding("here", True, _("Nobody runs it until an administrator here grants it."))
    return Finding("here", False, _("Nobody here may run it. Grant it to a role first."))


def _trace_of(owner: str, name: str, stored_as: str, roles: frozenset[Role]) -> str:
    """Return where something of the schema owner turned up in this one; empty when nowhere.

    A skill of the same name may be this tenant's own: whose it is, its stored bundle tells.
    """
    actor = _pretender(roles)
    theirs = {"version__script_version__stored_as__startswith": f"{owner}/"}
    if skills_visible_to(actor).filter(**theirs).exists():
        return _("it is on the page of skills")
    if skills_for_assistant(actor).filter(**theirs).exists():
        return _("it is among the assistant's candidates")
    found = skill_to_run(actor, name)
    script = _version_of(found).script_version if found else None
    if script is not None and script.stored_as.startswith(f"{owner}/"):
        return _("the API finds it")
    try:
        with open_file(stored_as):
            return _("its files can be read")
    except NotFound:
        return ""


def _version_of(skill: Skill) -> SkillVersion:
    if skill.version is None:
        raise ValueError(f"Skill {skill} has no version in use.")
    return skill.version


def _pretender(roles: frozenset[Role]) -> Actor:
    """Return somebody with these roles and no account, in the schema at hand."""
    return Actor(
        schema=current_schema(),
        username="system:verification",
        display_name="verification",
        user_id=None,
        roles=roles,
        door=Door.PAGE,
    )
