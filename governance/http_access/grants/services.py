"""Giving tenants a resource, and taking it back. What a tenant runs is a skill like any other."""

from __future__ import annotations

from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput, NotFound
from execfabric.core.roles import PLATFORM
from executors.contract import ExecutorError
from skills.catalogue.models import Maintainer, Skill, SkillVersion
from skills.catalogue.releases.services import withdraw_version
from skills.catalogue.services import register_skill
from skills.executions.lifecycle import recall_execution
from skills.executions.models import Execution
from skills.executions.states import WAITING, Status
from tenants.registry.models import Tenant

from ..models import HttpGrant, HttpResource, HttpResourceVersion, Level
from ..resolving import name_of
from ..selectors import grants_of, latest_version
from ..services import checked_name, checked_reason, manifest_for
from .boundary import ledger_words, rules_of, writes_of


@action(
    "http_access.grant.give",
    title="Grant an HTTP resource to a tenant",
    roles=PLATFORM,
    target="resource",
    needs_proof=True,
)
def grant_resource(
    *,
    actor: Actor,
    resource: HttpResource,
    tenant: Tenant,
    level: str,
    skill_name: str = "",
    ai_callable: bool = False,
) -> HttpGrant:
    """Let a tenant see the newest version of a resource, or see and run it as a skill.

    Granted again, it is brought to the newest version and to the new level. skill_name: empty for
    the name of the resource. Raises InvalidInput, Conflict.
    """
    if level not in Level.values:
        raise InvalidInput("Choose a level.", fields={"level": f"One of: {Level.values}."})
    HttpResource.objects.select_for_update().get(pk=resource.pk)
    version = latest_version(resource)
    earlier = grants_of(resource).filter(tenant=tenant).first()
    name = ""
    if level == Level.RUN:
        name = checked_name(skill_name or (earlier.skill_name if earlier else "") or resource.name)
    if earlier and earlier.skill_name and earlier.skill_name != name:
        _withdraw(tenant, earlier.skill_name, "The platform replaced this grant.", actor.username)
    if level == Level.RUN and not (version.parsed().is_safe or writes_of(version)):
        raise Conflict(
            "This resource writes, and no entry of its whitelist allows it. Add the write first."
        )
    words = {
        **ledger_words(version),
        "level": level,
        "version_number": version.number,
        "skill_name": name,
        "granted_at": timezone.now(),
    }
    if earlier:
        for field, value in words.items():
            setattr(earlier, field, value)
        earlier.save(update_fields=list(words))
        grant = earlier
    else:
        grant = HttpGrant.objects.create(tenant=tenant, resource_id=resource.pk, **words)
    if level == Level.RUN:
        _register(tenant, version, name, ai_callable=ai_callable)
    return grant


@action(
    "http_access.grant.revoke",
    title="Take an HTTP resource from a tenant",
    roles=PLATFORM,
    target="grant",
)
def revoke_grant(*, actor: Actor, grant: HttpGrant, reason: str) -> HttpGrant:
    """Take it back, from the commit on: what waits ends, what runs goes on.

    The tenant reads the reason. Raises InvalidInput, Conflict.
    """
    reason = checked_reason(reason)
    fresh = HttpGrant.objects.select_for_update().select_related("tenant").get(pk=grant.pk)
    if fresh.revoked_at:
        raise Conflict("This grant is revoked already.")
    fresh.revoked_at = timezone.now()
    fresh.save(update_fields=["revoked_at"])
    if fresh.skill_name:
        _withdraw(fresh.tenant, fresh.skill_name, reason, actor.username)
    return fresh


def _register(
    tenant: Tenant, version: HttpResourceVersion, name: str, *, ai_callable: bool
) -> SkillVersion:
    spec = version.parsed()
    try:
        manifest = manifest_for(
            name,
            version,
            resource=name_of(version),
            timeout_s=spec.timeout_s,
            ai_callable=ai_callable,
            tags=["http"],
            **rules_of(version, writes_of(version)),
        )
    except ExecutorError as error:
        raise InvalidInput(str(error)) from None
    with schema_context(tenant.schema_name):
        return register_skill(
            actor=Actor.system("http_access"),
            manifest=manifest,
            readme=_readme(version, spec.summary),
            maintainer=Maintainer.PLATFORM,
            even_if_pinned=True,  # Only the granted version runs.
        )


def _readme(version: HttpResourceVersion, summary: str) -> str:
    return (
        f"{version.description}\n\nCalls `{summary}`. The platform proves itself by: "
        f"{version.authentication_title}.\n"
    )


def _withdraw(tenant: Tenant, skill_name: str, reason: str, by: str) -> None:
    with schema_context(tenant.schema_name):
        skill = Skill.objects.select_related("version").filter(name=skill_name).first()
        if skill is None:
            raise NotFound(f"{tenant.name} has no skill {skill_name}.")
        system = Actor.system("http_access")
        versions = skill.versions.filter(kind="http", withdrawal__isnull=True)
        for version in versions:
            withdraw_version(
                actor=system, version=version, reason=reason, by=by, withdrawn_at=timezone.now()
            )
        waiting = Execution.objects.filter(skill=skill, status__in=[*WAITING, Status.QUEUED])
        for execution in list(waiting.select_for_update(of=("self",), skip_locked=True)):
            recall_execution(actor=system, execution=execution, reason=reason)


def delete_grants(tenant: Tenant) -> None:
    """Delete a deleted tenant's lines of the ledger, as part of that act."""
    HttpGrant.objects.filter(tenant=tenant).delete()
