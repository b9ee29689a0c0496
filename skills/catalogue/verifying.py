"""What is checked in a tenant before a version of a skill comes into use there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.core.exceptions import ObjectDoesNotExist

from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.errors import NotFound
from execfabric.core.roles import RUNNERS, Role
from executors.contract import ExecutorError
from executors.registry import EXECUTORS
from tenants.accounts.actors import actor_for_account
from tenants.accounts.models import Account

from .environments import check_stored_environment
from .models import Right, Skill, SkillGrant, SkillVersion
from .resources import check_resource
from .selectors import has_right, skill_to_run
from .workspace import sync_bundle


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    """Stable: executable, visible, may_run."""
    passed: bool
    text: str
    """For a person of the tenant."""


@dataclass(frozen=True, slots=True)
class Report:
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> str:
        """Return what failed, in sentences."""
        return " ".join(check.text for check in self.checks if not check.passed)

    def as_json(self) -> list[dict[str, str | bool]]:
        return [
            {"check": check.name, "passed": check.passed, "text": check.text}
            for check in self.checks
        ]


def verify_binding(skill: Skill, version: SkillVersion) -> Report:
    """Return whether version, which skill is bound to by now, works for those it is granted to.

    Asks the very selectors that runs and pages ask, inside the transaction that binds it: whoever
    calls this undoes the binding when the report has not passed. It says nothing of other tenants.
    """
    executable = _executable(version)
    if not skill.is_enabled:
        text = "The skill is disabled: nobody sees it until it is enabled."
        return Report((executable, Check("visible", True, text)))
    return Report((executable, _visible(skill, version), _may_run(skill, version)))


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
                return Check("executable", False, "Its entry file is missing.")
            if script.environment_id is not None:
                check_stored_environment(script.environment_id)
    except (ExecutorError, NotFound, ObjectDoesNotExist, KeyError):
        text = "Its code or its packages are not stored as they were registered."
        return Check("executable", False, text)
    return Check("executable", True, "Code and packages are as they were registered.")


def _visible(skill: Skill, version: SkillVersion) -> Check:
    for actor, who in _holders(skill, Right.SEE, Right.RUN, Right.APPROVE):
        found = skill_to_run(actor, skill.name)
        if found is None or found.version_id != version.pk:
            return Check("visible", False, f"It is granted to {who}, but does not show there.")
        return Check("visible", True, f"It shows to {who}.")
    return Check("visible", True, "It is granted to nobody yet.")


def _may_run(skill: Skill, version: SkillVersion) -> Check:
    for actor, who in _holders(skill, Right.RUN):
        if not actor.roles & RUNNERS:
            continue  # A grant gives no more than the roles of who holds it allow.
        found = skill_to_run(actor, skill.name)
        if (
            found is None
            or found.version_id != version.pk
            or not has_right(actor, found, Right.RUN)
        ):
            return Check("may_run", False, f"It is granted to {who}, but does not run for them.")
        return Check("may_run", True, f"It runs for {who}.")
    return Check("may_run", True, "Nobody is granted to run it yet.")


def _holders(skill: Skill, *rights: Right) -> Iterator[tuple[Actor, str]]:
    """Yield actors to whom a grant gives one of rights, with how people call them."""
    grants = SkillGrant.objects.filter(skill=skill, right__in=rights).select_related("group")
    for grant in grants.order_by("pk"):
        if grant.role:
            yield _holder_of(Role(grant.role)), f"the role {grant.get_role_display().lower()}"
            continue
        accounts = Account.objects.filter(is_active=True, role_assignments__isnull=False)
        holders = (
            accounts.filter(memberships__group=grant.group)
            if grant.group
            else accounts.filter(pk=grant.account_id or -1)
        )
        for account in holders.distinct().order_by("pk"):
            actor = actor_for_account(account, door=Door.WORKER)
            who = f"the group {grant.group}" if grant.group else account.username
            yield actor, who


def _holder_of(role: Role) -> Actor:
    """Return somebody who holds a role and nothing else."""
    return Actor(
        schema=current_schema(),
        username="",
        display_name="",
        user_id=None,
        roles=frozenset({role}),
        door=Door.WORKER,
    )
