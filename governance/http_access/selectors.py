from __future__ import annotations

from django.db.models import Max, QuerySet
from django.utils import timezone

from execfabric.core import permissions
from execfabric.core.actor import Actor, current_schema
from execfabric.core.permissions import can
from execfabric.core.roles import EVERYONE, PLATFORM

from .models import WARN_BEFORE, HttpCredential, HttpGrant, HttpResource, HttpResourceVersion

READ = "http_access.resource.read"
LEDGER = "http_access.ledger.read"
permissions.grant(READ, title="See HTTP resources and credentials", roles=PLATFORM)
permissions.grant(LEDGER, title="See the ledger of HTTP resources", roles=EVERYONE)


def resources_visible_to(actor: Actor) -> QuerySet[HttpResource]:
    """Return the HTTP resources by name, with the number of the newest version in ``latest``."""
    if not can(actor, READ):
        return HttpResource.objects.none()
    return HttpResource.objects.annotate(latest=Max("versions__number")).order_by("name")


def latest_version(resource: HttpResource) -> HttpResourceVersion:
    """Return the newest version with its credentials."""
    return version_numbered(resource, None)


def version_numbered(resource: HttpResource, number: int | None) -> HttpResourceVersion:
    """Return a version, the newest for None. Raises HttpResourceVersion.DoesNotExist."""
    versions = resource.versions.select_related("resource", "credential", "client_certificate")
    if number is not None:
        return versions.get(number=number)
    newest = versions.first()
    if newest is None:
        raise HttpResourceVersion.DoesNotExist
    return newest


def credentials_visible_to(actor: Actor) -> QuerySet[HttpCredential]:
    """Return the credentials by name."""
    if not can(actor, READ):
        return HttpCredential.objects.none()
    return HttpCredential.objects.order_by("name")


def resources_using(credential: HttpCredential) -> list[tuple[HttpResource, list[int]]]:
    """Return the resources, each with the numbers of the versions that name the credential."""
    used: dict[HttpResource, list[int]] = {}
    named = credential.resource_versions.all() | credential.tls_versions.all()
    for version in named.select_related("resource").order_by("resource__name", "-number"):
        used.setdefault(version.resource, []).append(version.number)
    return list(used.items())


def count_expiring(actor: Actor) -> int:
    """Return how many credentials in use have expired or soon will."""
    soon = timezone.now() + WARN_BEFORE
    return credentials_visible_to(actor).filter(revoked_at=None, expires_at__lte=soon).count()


def grants_of(resource: HttpResource) -> QuerySet[HttpGrant]:
    """Return the grants in force, by tenant."""
    grants = HttpGrant.objects.filter(resource_id=resource.pk, revoked_at=None)
    return grants.select_related("tenant").order_by("tenant__name")


def ledger_visible_to(actor: Actor) -> QuerySet[HttpGrant]:
    """Return the HTTP resources that the platform shows the tenant of actor, by name."""
    if not can(actor, LEDGER):
        return HttpGrant.objects.none()
    own = HttpGrant.objects.filter(tenant__schema_name=current_schema(), revoked_at=None)
    return own.order_by("name")
