"""From an event to the page of its object, and from an object to its events."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from django.db import models
from django.urls import NoReverseMatch, reverse

from execfabric.core.models import AuditEvent

TARGET_PAGES: dict[str, tuple[tuple[str, str], ...]] = {
    "audit_archives.auditarchive": (("audit_archives:archive-list", ""),),
    "accounts.account": (("admins:account-detail", "target_id"),),
    "accounts.group": (("groups:group-detail", "target_id"),),
    "batches.batch": (("batches:batch-detail", "target_id"),),
    "catalogue.skill": (("catalogue:skill-detail", "target_label"),),
    "catalogue.skillbinding": (("catalogue:skill-detail", "parent"),),
    "catalogue.skillgrant": (("catalogue:skill-detail", "parent"),),
    "catalogue.skillversion": (("catalogue:skill-detail", "parent"),),
    "customers.customer": (("governance:customer-detail", "target_id"),),
    "executions.execution": (("executions:execution-detail", "target_id"),),
    "hot_update.revision": (("submissions:revision-detail", "target_id"),),
    "hot_update.submission": (
        ("submissions:submission-detail", "target_id"),
        ("governance:review-detail", "target_id"),
    ),
    "http_access.httpcredential": (("http_access:credential-detail", "target_label"),),
    "http_access.httpcredentialversion": (("http_access:credential-detail", "parent"),),
    "http_access.httpresource": (("http_access:resource-detail", "target_label"),),
    "http_access.httpresourceversion": (("http_access:resource-detail", "parent"),),
    "http_access.httpwrite": (("http_access:resource-detail", "parent"),),
    "registry.tenant": (("governance:tenant-detail", "target_label"),),
    "tenant_data.tenantdeletion": (("governance:deletion-detail", "target_id"),),
    "tenant_data.tenantexport": (("governance:export-detail", "target_id"),),
}
"""Kind of object: names of its pages, of which a host has one at most, and which field of the event
is the page's argument; "parent" is the name before " v" or ":" in its label."""
REUSED_NAMES = frozenset({"registry.tenant"})
"""Kinds of objects whose name may be another's once they are deleted: a link tells whom it means,
by ``?id=``."""
PARENT = re.compile(r"([\w-]+)(?: v\d|: )")


def page_of_target(event: AuditEvent) -> str:
    """Return the page of the object, or an empty string when this host has none."""
    for route, field in TARGET_PAGES.get(event.target_type, ()):
        if field == "parent":
            named = PARENT.match(event.target_label)
            arguments = [named[1]] if named else []
        else:
            arguments = [getattr(event, field)] if field else []
        try:
            page = reverse(route, args=arguments)
        except NoReverseMatch:
            continue
        return f"{page}?id={event.target_id}" if event.target_type in REUSED_NAMES else page
    return ""


def trail_of(target: models.Model) -> str:
    """Return the query of the trail's page for what was done to an object and its parts."""
    name = str(target)
    about = f"{target._meta.label_lower}:{target.pk}"
    return urlencode({"object": f"{about}:{name}" if len(name) <= 150 else about})
