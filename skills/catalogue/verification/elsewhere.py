"""In every other tenant: nothing of it is seen, found, offered or read. The platform alone asks."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django_tenants.utils import get_public_schema_name, schema_context

from execfabric.core.actor import current_schema
from execfabric.core.errors import NotFound
from execfabric.core.roles import PLATFORM, TENANT_ROLES, Role
from execfabric.core.storage import open_file
from tenants.registry.models import Tenant

from ..models import Skill
from ..selectors import skill_to_run, skills_for_assistant, skills_visible_to
from .asking import pretender, version_of
from .report import Check, Report


def verify_elsewhere(skill: Skill) -> Report:
    """Ask in every other schema, with every role at once, for anything of this tenant."""
    owner = current_schema()
    script = version_of(skill).script_version
    with schema_context(get_public_schema_name()):
        others = list(Tenant.objects.exclude(schema_name=owner).order_by("schema_name"))
    checks = []
    for tenant in others:
        with schema_context(tenant.schema_name):
            roles = PLATFORM if tenant.is_platform else frozenset(TENANT_ROLES)
            problem = _trace_of(owner, skill.name, script.stored_as if script else "", roles)
        said = _("%(tenant)s: %(what)s.") % {
            "tenant": tenant.name,
            "what": problem or _("neither sees nor runs it"),
        }
        checks.append(Check("elsewhere", not problem, said))
    return Report(tuple(checks))


def without_names(elsewhere: Report) -> Report:
    """Return the same for a tenant, which must not read the names of others."""
    if not elsewhere.passed:
        raise ValueError("Problems elsewhere are the platform's alone.")
    text = _("No other tenant sees or runs it; %(count)d were asked.")
    return Report((Check("elsewhere", True, text % {"count": len(elsewhere.checks)}),))


def _trace_of(owner: str, name: str, stored_as: str, roles: frozenset[Role]) -> str:
    """Return where something of the schema owner turned up in this one; empty when nowhere.

    A skill of the same name may be this tenant's own: whose it is, its stored bundle tells.
    """
    actor = pretender(roles)
    theirs = {"version__script_version__stored_as__startswith": f"{owner}/"}
    if skills_visible_to(actor).filter(**theirs).exists():
        return _("it is on the page of skills")
    if skills_for_assistant(actor).filter(**theirs).exists():
        return _("it is among the assistant's candidates")
    found = skill_to_run(actor, name)
    script = version_of(found).script_version if found else None
    if script is not None and script.stored_as.startswith(f"{owner}/"):
        return _("the API finds it")
    try:
        with open_file(stored_as):
            return _("its files can be read")
    except NotFound:
        return ""
