"""What a worker is given for a version of a skill that names an HTTP resource.

The version holds a name and a number only. Spec, whitelist, addresses and secrets are looked up in
the public domain at each run, so what is revoked there is revoked at once, whoever runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from django.core.exceptions import ValidationError
from django_tenants.utils import get_public_schema_name, schema_context
from pydantic import JsonValue

from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import DomainError
from executors.contract import ExecutorError
from skills.catalogue.models import Approval, SkillVersion
from skills.catalogue.resources import Resolved

from .models import HttpGrant, HttpResourceVersion, Level

KIND = "http"
logger = structlog.get_logger(__name__)


class NotAvailable(ExecutorError):
    """The resource cannot be called from here, or not any more."""


def name_of(version: HttpResourceVersion) -> dict[str, JsonValue]:
    """Return what a skill version holds of a resource."""
    return {"http_resource": str(version.resource_id), "version": version.number}


@contextmanager
def public_domain() -> Iterator[None]:
    """Switch schema and role to the public domain's, and back."""
    with schema_context(get_public_schema_name()):
        yield


class HttpResources:
    """Looks up resources for the schema at hand."""

    def check(self, named: dict[str, JsonValue]) -> None:
        """Raise NotAvailable unless the current schema may call what is named."""
        _find(named, current_schema())

    def resolve(self, version: SkillVersion, *, purpose: str) -> Resolved:
        """Return spec and secrets; each use of a credential leaves an event in the public domain.

        Raises NotAvailable.
        """
        schema = current_schema()
        found = _find(dict(version.resource), schema)
        with public_domain():
            is_trial = schema == get_public_schema_name()
            # A run that nobody else approved writes nothing that demands it: the entry may be newer
            # than the version that the tenant was granted.
            is_approved = is_trial or version.approval == Approval.FOUR_EYES
            spec = found.full_spec(traced=is_trial, approved=is_approved)
            return Resolved(spec, _secrets_of(found, purpose=purpose, schema=schema))


def _find(named: dict[str, JsonValue], schema: str) -> HttpResourceVersion:
    with public_domain():
        try:
            resource_id, number = UUID(str(named["http_resource"])), int(str(named["version"]))
            found = HttpResourceVersion.objects.select_related(
                "resource", "credential", "client_certificate"
            ).get(resource_id=resource_id, number=number)
        except (KeyError, ValueError, ValidationError, HttpResourceVersion.DoesNotExist):
            raise NotAvailable(
                "A skill of kind http calls a resource that the platform grants, and this names "
                "none."
            ) from None
        if not found.resource.is_enabled:
            raise NotAvailable("The platform has switched this HTTP resource off.")
        if schema != get_public_schema_name():
            grants = HttpGrant.objects.filter(
                tenant__schema_name=schema,
                resource_id=resource_id,
                level=Level.RUN,
                revoked_at=None,
            )
            granted = grants.values_list("version_number", flat=True).first()
            if granted is None:
                raise NotAvailable("The platform does not grant this resource to this workspace.")
            if granted != number:
                raise NotAvailable(
                    "The platform grants another version of this resource now. Whoever manages "
                    "skills here puts the newest version of this skill in use."
                )
        return found


def _secrets_of(version: HttpResourceVersion, *, purpose: str, schema: str) -> dict[str, str]:
    from .credentials.services import use_credential  # It imports what imports this.

    secrets: dict[str, str] = {}
    for credential in (version.credential, version.client_certificate):
        if credential is None:
            continue
        try:
            secrets |= use_credential(
                actor=Actor.system("worker"), credential=credential, purpose=purpose, schema=schema
            )
        except DomainError as error:
            logger.error("credential.not_usable", credential=credential.name, error=str(error))
            if schema == get_public_schema_name():
                raise NotAvailable(f"{credential.name}: {error.message}") from error
            raise NotAvailable(
                "The platform's credential for this resource cannot be used now. The platform "
                "knows why."
            ) from error
    return secrets
