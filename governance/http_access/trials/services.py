"""Dry runs and trial executions, in the public domain only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from pydantic import JsonValue

from execfabric.core import permissions
from execfabric.core.actions import action
from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.request_context import current_request_id
from execfabric.core.roles import PLATFORM
from executors.contract import MEBIBYTE, ExecutionRequest, ExecutorError, Limits
from executors.inputs import InvalidInputs, check_inputs
from executors.registry import EXECUTORS
from skills.catalogue.models import Maintainer, Risk, Skill, SkillVersion
from skills.executions import policy
from skills.executions.approvals.rules import rules_in_force
from skills.executions.inputs import digest_of
from skills.executions.models import Execution
from skills.executions.moves import enqueue_execution
from skills.executions.states import Status

from ..models import HttpResourceVersion
from ..resolving import KIND, name_of
from ..services import manifest_for

TRY = "http_access.resource.try"
MEMORY_BYTES = 256 * MEBIBYTE


@action(
    "http_access.resource.dry_run",
    title="Dry-run an HTTP resource",
    roles=PLATFORM,
    target="version",
)
def dry_run(
    *, actor: Actor, version: HttpResourceVersion, inputs: Mapping[str, Any]
) -> dict[str, JsonValue]:
    """Return the exact request with secrets masked. Nothing is sent, and no secret is decrypted.

    Raises InvalidInput.
    """
    checked = _checked(version, inputs)
    request = ExecutionRequest(
        execution_id="dry-run",
        tenant=current_schema(),
        kind=KIND,
        resource=version.full_spec(),
        inputs=checked,
        limits=Limits(timeout_s=version.parsed().timeout_s),
    )
    try:
        return EXECUTORS.get(KIND).dry_run(request)
    except ExecutorError as error:
        raise InvalidInput(str(error)) from None


@action(TRY, title="Try an HTTP resource out", roles=PLATFORM, target="version")
def try_resource(
    *,
    actor: Actor,
    version: HttpResourceVersion,
    inputs: Mapping[str, Any],
    confirmed: bool = False,
) -> Execution:
    """Call it once for real, as an execution of the public domain that keeps the whole trace.

    confirmed: whether a person has said yes to a call that writes. Raises InvalidInput, Conflict.
    """
    checked = _checked(version, inputs)
    if not version.parsed().is_safe and not confirmed:
        wrong = "This call changes something. Confirm it."
        raise InvalidInput(wrong, fields={"confirmed": wrong})
    if not version.resource.is_enabled:
        raise Conflict("This resource is switched off.")
    skill = _skill_for(version, actor)
    rules = rules_in_force()
    decision = policy.decide(skill, rules)
    decision.require_allowed()
    now = timezone.now()
    execution = Execution(
        skill=skill.skill,
        version=skill,
        requested_by_id=actor.user_id,
        door=actor.door,
        request_id=current_request_id(),
        inputs=checked,
        inputs_digest=digest_of(checked),
        mode=decision.mode,
        policy_version=rules.version,
        status=Status.QUEUED,
        created_at=now,
        sent_at=now,
    )
    execution.save(force_insert=True)
    enqueue_execution(execution)
    return execution


def _checked(version: HttpResourceVersion, inputs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        schema = manifest_for(version.resource.name, version).input_schema()
        return check_inputs(schema, dict(inputs))
    except InvalidInputs as error:
        raise InvalidInput("Some inputs do not fit.", fields=error.fields) from None
    except ExecutorError as error:
        raise InvalidInput(str(error)) from None


def _skill_for(version: HttpResourceVersion, actor: Actor) -> SkillVersion:
    """Return the skill version of the public domain that stands for a version of a resource.

    Nobody is granted it, and it is never bound: trials alone run it.
    """
    manifest = manifest_for(version.resource.name, version, resource=name_of(version))
    skill, _ = Skill.objects.get_or_create(
        name=version.resource.name, defaults={"maintainer": Maintainer.PLATFORM}
    )
    Skill.objects.select_for_update().get(pk=skill.pk)
    known = skill.versions.filter(number=version.number).select_related("skill").first()
    if known is not None:
        return known
    spec = version.parsed()
    return SkillVersion.objects.create(
        skill=skill,
        number=version.number,
        kind=KIND,
        resource=name_of(version),
        title=version.title,
        description=version.description,
        input_schema=manifest.input_schema(),
        output_schema=manifest.output_schema(),
        # A write was confirmed by who tries it; see try_resource.
        risk=(Risk.LOW if spec.is_safe else Risk.MEDIUM).value,
        confirm=False,
        approval=manifest.skill.approval,
        ai_callable=False,
        manual=True,
        network=True,
        timeout_s=spec.timeout_s,
        memory_bytes=MEMORY_BYTES,
        author=actor.username,
    )


def trials_of(actor: Actor, name: str) -> Any:
    """Return the executions that tried the resource of that name out, newest first."""
    if not permissions.can(actor, TRY):
        return Execution.objects.none()
    return Execution.objects.filter(skill__name=name, version__kind=KIND).select_related(
        "skill", "version", "requested_by"
    )
