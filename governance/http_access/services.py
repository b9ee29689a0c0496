"""What super-admins do with HTTP resources: describe, whitelist writes, open addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max
from django.utils import timezone

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.roles import PLATFORM
from executors.contract import ExecutorError
from executors.http.calling import context_for
from executors.http.resource import Write, parse_resource
from executors.manifest.model import SLUG, SLUG_LENGTH, ResourceManifest
from executors.network.policy import parse_rules
from executors.results import unstorable
from skills.catalogue.models import is_file

from .grants.boundary import refresh_ledger
from .models import (
    Confirmation,
    HttpCredential,
    HttpResource,
    HttpResourceVersion,
    HttpWrite,
    Style,
)

LONGEST_TEXT = 2000
RESERVED = frozenset({"new", "import", "operations"})
"""Words that stand where a name does in addresses."""
GIVEN_ELSEWHERE = ("authentication", "writes", "open_addresses", "traced")
"""Words of a spec that never stand in a version."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a version says, as people and programs give it."""

    title: str
    spec: Mapping[str, Any]
    """Words of ``executors.http.resource.HttpResource``."""
    description: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    output_fields: Mapping[str, Any] = field(default_factory=dict)
    credential: HttpCredential | None = None
    client_certificate: HttpCredential | None = None
    note: str = ""


@action(
    "http_access.resource.create",
    title="Create an HTTP resource",
    roles=PLATFORM,
    needs_proof=True,  # It says to which host a credential goes.
)
def create_resource(*, actor: Actor, name: str, description: Description) -> HttpResource:
    """Create a resource with its first version. Raises InvalidInput."""
    checked_name(name)
    if HttpResource.objects.filter(name=name).exists():
        wrong = "There is a resource of this name. Choose another one."
        raise InvalidInput(wrong, fields={"name": wrong})
    now = timezone.now()
    resource = HttpResource.objects.create(name=name, created_by=actor.username, created_at=now)
    _add_version(actor, resource, description)
    return resource


@action(
    "http_access.resource.revise",
    title="Add a version to an HTTP resource",
    roles=PLATFORM,
    target="resource",
    needs_proof=True,
)
def revise_resource(
    *, actor: Actor, resource: HttpResource, description: Description
) -> HttpResourceVersion:
    """Add a version. Tenants go on with the one they were granted. Raises InvalidInput."""
    HttpResource.objects.select_for_update().get(pk=resource.pk)
    return _add_version(actor, resource, description)


@action(
    "http_access.resource.disable",
    title="Switch an HTTP resource off",
    roles=PLATFORM,
    target="resource",
)
def disable_resource(*, actor: Actor, resource: HttpResource, reason: str) -> HttpResource:
    """Let nobody call it any more, from the commit on. Raises InvalidInput, Conflict."""
    reason = checked_reason(reason)
    fresh = _locked(resource)
    if not fresh.is_enabled:
        raise Conflict("It is switched off already.")
    fresh.is_enabled, fresh.disabled_reason = False, reason
    fresh.save(update_fields=["is_enabled", "disabled_reason"])
    return fresh


@action(
    "http_access.resource.enable",
    title="Switch an HTTP resource on",
    roles=PLATFORM,
    target="resource",
)
def enable_resource(*, actor: Actor, resource: HttpResource) -> HttpResource:
    """Let it be called again. Raises Conflict."""
    fresh = _locked(resource)
    if fresh.is_enabled:
        raise Conflict("It is switched on already.")
    fresh.is_enabled, fresh.disabled_reason = True, ""
    fresh.save(update_fields=["is_enabled", "disabled_reason"])
    return fresh


@action(
    "http_access.resource.open_addresses",
    title="Approve an HTTP resource for addresses that are not public",
    roles=PLATFORM,
    target="resource",
    needs_proof=True,
)
def open_addresses(
    *, actor: Actor, resource: HttpResource, addresses: list[str], reason: str
) -> HttpResource:
    """Let it reach these hosts, addresses or ranges although they are not public; replaces others.

    An empty list closes all. An API that is called by name takes that name; with loopback,
    link-local and metadata addresses the address as well. What is named here also gets the
    credential without TLS, where the resource says http. Raises InvalidInput.
    """
    reason = checked_reason(reason)
    try:
        parse_rules(addresses)
    except ValueError as error:
        raise InvalidInput(f"{error}.", fields={"addresses": f"{error}."}) from None
    fresh = _locked(resource)
    fresh.open_addresses, fresh.open_reason, fresh.opened_by = addresses, reason, actor.username
    fresh.save(update_fields=["open_addresses", "open_reason", "opened_by"])
    return fresh


@action(
    "http_access.write.allow",
    title="Put a write on the whitelist",
    roles=PLATFORM,
    target="resource",
    needs_proof=True,
)
def allow_write(
    *,
    actor: Actor,
    resource: HttpResource,
    method: str,
    path: str,
    limits: Mapping[str, Any],
    confirmation: str,
    reason: str,
) -> HttpWrite:
    """Allow one method on one path (``*`` for one part), within limits. Raises InvalidInput."""
    reason = checked_reason(reason)
    if confirmation not in Confirmation.values:
        wrong = f"One of: {', '.join(Confirmation.values)}."
        raise InvalidInput("Choose a confirmation.", fields={"confirmation": wrong})
    checked_json("limits", limits)
    try:
        Write.model_validate({"method": method, "path": path, "limits": dict(limits)})
    except ValueError as error:
        raise InvalidInput(
            "This cannot be put on the whitelist.", fields=_first_problem(error)
        ) from None
    write = HttpWrite.objects.create(
        resource=resource,
        method=method,
        path=path,
        limits=dict(limits),
        confirmation=confirmation,
        reason=reason,
        created_by=actor.username,
        created_at=timezone.now(),
    )
    refresh_ledger(resource)
    return write


@action(
    "http_access.write.revoke",
    title="Take a write off the whitelist",
    roles=PLATFORM,
    target="write",
)
def revoke_write(*, actor: Actor, write: HttpWrite) -> HttpWrite:
    """Deny a write again, from the commit on, for whoever runs it. Raises Conflict."""
    fresh = HttpWrite.objects.select_for_update().get(pk=write.pk)
    if fresh.revoked_at:
        raise Conflict("It is off the whitelist already.")
    fresh.revoked_at, fresh.revoked_by = timezone.now(), actor.username
    fresh.save(update_fields=["revoked_at", "revoked_by"])
    refresh_ledger(fresh.resource)
    return fresh


def checked_name(name: str) -> str:
    """Return name. Raises InvalidInput."""
    if not SLUG.fullmatch(name) or len(name) > SLUG_LENGTH or name in RESERVED:
        rule = f"Use a-z, 0-9 and single hyphens between them, at most {SLUG_LENGTH} characters."
        raise InvalidInput(f"The name {name[:80]!r} is not possible.", fields={"name": rule})
    return name


def checked_reason(reason: str) -> str:
    """Return the reason. Raises InvalidInput without one."""
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_TEXT:
        wrong = f"Say why, in at most {LONGEST_TEXT} characters."
        raise InvalidInput("Give a reason.", fields={"reason": wrong})
    return reason


def checked_json(name: str, value: Mapping[str, Any]) -> None:
    """Raise InvalidInput where the database could not hold a value."""
    if problem := unstorable(dict(value)):
        wrong = problem.replace("The result", "It")
        raise InvalidInput(f"{name} cannot be stored.", fields={name: wrong})


def manifest_for(
    name: str,
    description: Description | HttpResourceVersion,
    *,
    resource: Mapping[str, Any] | None = None,
    **skill: Any,
) -> ResourceManifest:
    """Return the manifest of a skill that calls what is described. Raises ExecutorError."""
    return ResourceManifest.from_tables(
        {
            "skill": {
                "name": name,
                "kind": "http",
                "title": description.title,
                "description": description.description,
                "network": True,
                **skill,
            },
            "inputs": dict(description.inputs),
            "outputs": dict(description.output_fields),
            "resource": dict(resource or {}),
        },
        file="the resource",
    )


def _add_version(actor: Actor, resource: HttpResource, wanted: Description) -> HttpResourceVersion:
    spec = dict(wanted.spec)
    if misplaced := sorted(spec.keys() & set(GIVEN_ELSEWHERE)):
        wrong = f"{misplaced[0]} does not stand in the spec: it is set for itself."
        raise InvalidInput(wrong, fields={"spec": wrong})
    for name, value in (
        ("spec", spec), ("inputs", wanted.inputs), ("outputs", wanted.output_fields),
    ):  # fmt: skip
        checked_json(name, value)
    _check_credentials(wanted)
    try:
        manifest = manifest_for(resource.name, wanted)
        if wanted.output_fields:
            spec["output_schema"] = manifest.output_schema()
        parsed = parse_resource(spec)
    except ExecutorError as error:
        raise InvalidInput(str(error)) from None
    if parsed.tls.ca:
        try:
            context_for(parsed.tls.ca)
        except ExecutorError:
            wrong = "It is no certificate in PEM form that can be trusted."
            raise InvalidInput(wrong, fields={"ca": wrong}) from None
    if parsed.base.scheme == "http" and (parsed.tls.ca or wanted.client_certificate):
        wrong = "Certificates belong to TLS: the base URL must begin with https."
        raise InvalidInput(wrong, fields={"base_url": wrong})
    if files := [name for name, one in manifest.inputs.items() if is_file(one.schema_words())]:
        raise InvalidInput(f"A call sends no files, and {files[0]} is one.")
    if unknown := parsed.placeholders() - set(wanted.inputs):
        names = ", ".join(sorted(unknown))
        raise InvalidInput(f"The request needs inputs that are not declared: {names}.")
    if unused := set(parsed.outputs) ^ set(wanted.output_fields or parsed.outputs):
        names = ", ".join(sorted(unused))
        raise InvalidInput(f"Outputs are mapped but not declared, or the other way round: {names}.")
    latest = resource.versions.aggregate(latest=Max("number"))["latest"] or 0
    return HttpResourceVersion.objects.create(
        resource=resource,
        number=latest + 1,
        title=manifest.skill.title or resource.name,
        description=wanted.description,
        spec=spec,
        inputs=dict(wanted.inputs),
        output_fields=dict(wanted.output_fields),
        credential=wanted.credential,
        client_certificate=wanted.client_certificate,
        note=wanted.note[:200],
        created_by=actor.username,
        created_at=timezone.now(),
    )


def _check_credentials(wanted: Description) -> None:
    certificate = wanted.client_certificate
    if wanted.credential and wanted.credential.style == Style.CLIENT_CERTIFICATE:
        wrong = "Choose a client certificate as such."
        raise InvalidInput(wrong, fields={"credential": wrong})
    if certificate and certificate.style != Style.CLIENT_CERTIFICATE:
        wrong = "This credential is no client certificate."
        raise InvalidInput(wrong, fields={"client_certificate": wrong})
    for name, one in (("credential", wanted.credential), ("client_certificate", certificate)):
        if one and one.revoked_at:
            wrong = f"The credential {one.name} is revoked."
            raise InvalidInput(wrong, fields={name: wrong})


def _locked(resource: HttpResource) -> HttpResource:
    return HttpResource.objects.select_for_update().get(pk=resource.pk)


def _first_problem(error: ValueError) -> dict[str, str]:
    problem = error.errors(include_url=False)[0]  # type: ignore[attr-defined]  # pydantic's
    where = str(problem["loc"][0]) if problem["loc"] else "path"
    return {where: problem["msg"].removeprefix("Value error, ")}
