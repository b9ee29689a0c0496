from __future__ import annotations

from django.db.models import OuterRef, QuerySet, Subquery, TextField
from django.db.models.fields.json import KeyTextTransform, KeyTransform

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import PLATFORM, SYSTEM

from ..models import Recall, Remark, Revision, Submission
from ..states import SubmissionStatus

READ = "hot_update.submission.review"
WAITING = (SubmissionStatus.IN_REVIEW, SubmissionStatus.STUCK)
"""A reviewer has to do something."""

permissions.grant(READ, title="See the submissions of all tenants", roles=PLATFORM | SYSTEM)


def submissions_to_review(actor: Actor) -> QuerySet[Submission]:
    """Return the submissions of all tenants, newest first, with tenant and latest revision's facts.

    Those are ``risk``, ``revision_number``, ``sent_by`` and ``sent_at``. None without the right.
    """
    if not can(actor, READ):
        return Submission.objects.none()
    latest = Revision.objects.filter(submission=OuterRef("pk")).order_by("-number")
    risk = KeyTextTransform("risk", KeyTransform("skill", "manifest"))
    return Submission.objects.select_related("tenant").annotate(
        risk=Subquery(latest.annotate(asked=risk).values("asked")[:1], output_field=TextField()),
        revision_number=Subquery(latest.values("number")[:1]),
        sent_by=Subquery(latest.values("submitted_by")[:1]),
        sent_at=Subquery(latest.values("created_at")[:1]),
    )


def count_waiting(actor: Actor) -> int:
    """Return how many submissions a reviewer has to look at."""
    if not can(actor, READ):
        return 0
    return Submission.objects.filter(status__in=WAITING).count()


def latest_revision(submission: Submission) -> Revision:
    return submission.revisions.select_related("submission__tenant").latest("number")


def revisions_of(submission: Submission) -> QuerySet[Revision]:
    """Return what was submitted, newest first, without the long texts, with reviews and steps."""
    revisions = submission.revisions.defer("manifest", "checks", "trial", "lock")
    return revisions.prefetch_related("reviews", "steps")


def remarks_on(submission: Submission) -> QuerySet[Remark]:
    """Return what both sides said, oldest first, with the revision it is about."""
    return Remark.objects.select_related("revision").filter(revision__submission=submission)


def recall_of(digest: str) -> Recall | None:
    return Recall.objects.filter(digest=digest).first()
