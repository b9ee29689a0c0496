"""The form that runs a skill, on the skill's page."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from execfabric.core.actor import Actor
from execfabric.core.errors import InvalidInput
from execfabric.core.permissions import can
from execfabric.web.forms import SchemaForm
from execfabric.web.requests import ConsoleRequest
from skills.catalogue.models import Skill, SkillVersion
from skills.catalogue.run_desk import Panel
from skills.catalogue.selectors import reason_withdrawn

from . import policy, services
from .approvals.rules import rules_in_force
from .forms import run_form, send_inputs
from .presentation import without_secrets
from .selectors import executions_visible_to

TEMPLATE = "executions/run_panel.html"


class ExecutionDesk:
    """Runs skills as executions."""

    def show(self, request: ConsoleRequest, skill: Skill) -> Panel:
        version = _bound(skill)
        refusal = _why_not(request.actor, skill, version)
        if refusal:
            return Panel(TEMPLATE, {"refusal": refusal})
        initial = _earlier_inputs(request, skill)
        return _panel(version, run_form(request.actor, version, initial))

    def run(self, request: ConsoleRequest, skill: Skill) -> Panel | HttpResponse:
        version = _bound(skill)
        form = run_form(request.actor, version, {}, data=request.POST, files=request.FILES)
        inputs = send_inputs(request.actor, form) if form.is_valid() else None
        if inputs is None:
            return _panel(version, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            execution = services.request_execution(
                actor=request.actor,
                skill=skill,
                inputs=inputs,
                reason=request.POST.get("reason", ""),
            )
        except InvalidInput as error:
            form.add_field_errors(error.fields or {"": error.message})
            return _panel(version, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        return redirect("executions:execution-detail", execution.pk)


def _bound(skill: Skill) -> SkillVersion:
    if skill.version is None:
        raise ValueError(f"Skill {skill} has no bound version.")
    return skill.version


def _panel(version: SkillVersion, form: SchemaForm, status: int = 200) -> Panel:
    demand = policy.decide(version, rules_in_force()).demand
    return Panel(
        TEMPLATE,
        {"form": form, "confirms": demand.confirm, "approvals": demand.approvals},
        status=status,
    )


def _why_not(actor: Actor, skill: Skill, version: SkillVersion) -> str:
    """Return why actor cannot run skill from its page, or an empty string."""
    if reason := reason_withdrawn(skill):
        return _("The platform has withdrawn this version: %(reason)s") % {"reason": reason}
    if not version.manual:
        return _("This skill is not open for manual execution.")
    if blocked := policy.decide(version, rules_in_force()).blocked:
        return blocked
    if not can(actor, "executions.execution.request", skill):
        if can(actor, "catalogue.grant.change", skill):
            return _("You have no right to run it. Give it to whom you want, at Who may use it.")
        return _(
            "Your account may see this skill, but not run it. "
            "Ask an administrator of this workspace for the right to run it."
        )
    return ""


def _earlier_inputs(request: ConsoleRequest, skill: Skill) -> dict[str, Any]:
    """Return the inputs of the execution named by ``?from=``, to start from; else none.

    Without its secrets: whoever may see an execution does not see those.
    """
    try:
        wanted = UUID(request.GET.get("from", ""))
    except ValueError:
        return {}
    visible = executions_visible_to(request.actor).filter(pk=wanted, skill=skill)
    return next((without_secrets(one.version, one.inputs) for one in visible), {})
