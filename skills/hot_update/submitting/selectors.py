"""What a tenant reads of its own submissions. The database itself shows it no other's."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from execfabric.core import permissions
from execfabric.core.actor import Actor, current_schema
from execfabric.core.permissions import can
from execfabric.core.roles import MANAGERS, SYSTEM, Role
from tenants.registry.models import Tenant

from ..models import PublicationStep, Remark, Review, Revision, Submission
from ..public import public_domain
from ..states import SubmissionStatus

SUBMITTERS = MANAGERS | {Role.DEVELOPER}
CLOSED = (SubmissionStatus.LIVE, SubmissionStatus.WITHDRAWN)

permissions.grant(
    "hot_update.submission.read", title="See the submissions", roles=SUBMITTERS | SYSTEM
)


def current_tenant() -> Tenant:
    """Return the tenant whose schema is in force: the owner of whatever is submitted now."""
    return Tenant.objects.get(schema_name=current_schema())


def submissions_of_current_tenant(actor: Actor) -> QuerySet[Submission]:
    """Return the submissions of the tenant at hand, newest first, with the tenant."""
    if not can(actor, "hot_update.submission.read"):
        return Submission.objects.none()
    own = Submission.objects.filter(tenant__schema_name=current_schema())
    return own.select_related("tenant")


def open_submission(skill_name: str) -> Submission | None:
    """Return the submission of the tenant at hand for a skill that is not over yet."""
    own = Submission.objects.filter(tenant__schema_name=current_schema())
    return own.filter(skill_name=skill_name).exclude(status__in=CLOSED).first()


def latest_revision(submission: Submission) -> Revision:
    return submission.revisions.select_related("submission__tenant").latest("number")


def remarks_on(submission: Submission) -> QuerySet[Remark]:
    """Return what both sides said, oldest first, with the revision it is about."""
    return Remark.objects.select_related("revision").filter(revision__submission=submission)


def verdicts_on(submission: Submission) -> QuerySet[Review]:
    return Review.objects.select_related("revision").filter(revision__submission=submission)


def publication_of(submission: Submission) -> list[dict[str, Any]]:
    """Return how far each step of the publication is: step, status, started_at, finished_at.

    Not its log and report, which are the platform's.
    """
    tenant = current_schema()
    with public_domain():
        own = PublicationStep.objects.filter(
            revision__submission=submission, revision__submission__tenant__schema_name=tenant
        )
        found = own.order_by("revision__number", "pk")
        fields = ("step", "status", "started_at", "finished_at")
        return [dict(row) for row in found.values(*fields)]
