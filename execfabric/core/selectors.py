from __future__ import annotations

from django.db.models import Q, QuerySet

from . import permissions
from .actor import Actor
from .models import AuditEvent, AuditSeal, SavedTrailView
from .permissions import can
from .roles import MANAGERS, PLATFORM

permissions.grant("core.audit.read", title="Read the audit trail", roles=MANAGERS | PLATFORM)


def audit_events_visible_to(actor: Actor) -> QuerySet[AuditEvent]:
    """Return the audit events of the actor's schema, newest first; none without the right."""
    if not can(actor, "core.audit.read"):
        return AuditEvent.objects.none()
    return AuditEvent.objects.all()


def seals_visible_to(actor: Actor) -> QuerySet[AuditSeal]:
    """Return the seals of the trail of the actor's schema, newest first; none without the right."""
    if not can(actor, "core.audit.read"):
        return AuditSeal.objects.none()
    return AuditSeal.objects.order_by("-number")


def trail_views_visible_to(actor: Actor) -> QuerySet[SavedTrailView]:
    """Return the saved views of the actor, and those others share; none without the right."""
    if not can(actor, "core.audit.read"):
        return SavedTrailView.objects.none()
    return SavedTrailView.objects.filter(Q(owner_id=actor.user_id) | Q(is_shared=True))
