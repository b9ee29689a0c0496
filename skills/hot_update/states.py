"""The life of a submission, and of the publication that follows its approval, as tables."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from execfabric.core.states import Transitions


class SubmissionStatus(models.TextChoices):
    CHECKING = "checking", _("Being checked")
    BLOCKED = "blocked", _("Needs changes")
    """A check found what must be mended first; no reviewer sees it."""
    IN_REVIEW = "in_review", _("In review")
    REJECTED = "rejected", _("Rejected")
    PUBLISHING = "publishing", _("Being published")
    STUCK = "stuck", _("Publishing stopped")
    """A step of the publication failed; it can be resumed."""
    LIVE = "live", _("Live")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    """By who submitted it, before it was decided."""


SUBMISSION_TRANSITIONS: Transitions = {
    SubmissionStatus.CHECKING: frozenset(
        {SubmissionStatus.BLOCKED, SubmissionStatus.IN_REVIEW, SubmissionStatus.WITHDRAWN}
    ),
    SubmissionStatus.BLOCKED: frozenset({SubmissionStatus.CHECKING, SubmissionStatus.WITHDRAWN}),
    SubmissionStatus.IN_REVIEW: frozenset(
        {
            SubmissionStatus.CHECKING,  # A new revision before the verdict.
            SubmissionStatus.REJECTED,
            SubmissionStatus.PUBLISHING,
            SubmissionStatus.WITHDRAWN,
        }
    ),
    SubmissionStatus.REJECTED: frozenset({SubmissionStatus.CHECKING, SubmissionStatus.WITHDRAWN}),
    SubmissionStatus.PUBLISHING: frozenset({SubmissionStatus.STUCK, SubmissionStatus.LIVE}),
    SubmissionStatus.STUCK: frozenset({SubmissionStatus.PUBLISHING, SubmissionStatus.REJECTED}),
    SubmissionStatus.LIVE: frozenset(),
    SubmissionStatus.WITHDRAWN: frozenset(),
}


class Step(models.TextChoices):
    """The steps of a publication, in their order."""

    SYNC = "sync", _("Sync")
    REGISTER = "register", _("Register")
    AUTHORISE = "authorise", _("Authorise")
    VERIFY = "verify", _("Verify")


class StepStatus(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class Verdict(models.TextChoices):
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")
