"""What the worker that publishes records, step by step."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, Postponed
from execfabric.core.roles import SYSTEM
from execfabric.core.states import move
from execfabric.core.tasks import enqueue
from skills.catalogue.models import SkillVersion
from skills.catalogue.releases.services import use_release

from ..models import PublicationStep, Revision, Submission
from ..reviewing.locks import packages_digest
from ..reviewing.selectors import recall_of
from ..states import SUBMISSION_TRANSITIONS, Step, StepStatus, SubmissionStatus, Verdict

PUBLISH = "hot_update.publish_revision"
"""The task that carries the steps out, see tasks.py."""


def start_publication(revision: Revision) -> None:
    """Lay out the steps of a revision that was just approved, and send it."""
    PublicationStep.objects.bulk_create(
        (PublicationStep(revision=revision, step=step) for step in Step), ignore_conflicts=True
    )
    enqueue(PUBLISH, revision_id=str(revision.pk))


def restart_publication(revision: Revision) -> None:
    """Let the step that failed wait again, and send the revision."""
    failed = revision.steps.filter(status=StepStatus.FAILED)
    failed.update(status=StepStatus.WAITING, started_at=None, finished_at=None)
    enqueue(PUBLISH, revision_id=str(revision.pk))


@action(
    "hot_update.publication.begin",
    title="Begin a step of a publication",
    roles=SYSTEM,
    target="revision",
)
def begin_step(*, actor: Actor, revision: Revision, step: Step) -> PublicationStep:
    """Mark a step as running. Raises Postponed where the publication does not go on."""
    _publishing(revision)
    _require_approved(revision)
    return _set(revision, step, StepStatus.RUNNING, started_at=timezone.now(), finished_at=None)


@action(
    "hot_update.publication.finish",
    title="Finish a step of a publication",
    roles=SYSTEM,
    target="revision",
)
def finish_step(
    *, actor: Actor, revision: Revision, step: Step, log: str, report: dict[str, Any]
) -> PublicationStep:
    """Mark a step as done. Raises Postponed."""
    _publishing(revision)
    return _set(revision, step, StepStatus.DONE, log=log, report=report, finished_at=timezone.now())


@action("hot_update.publication.fail", title="Stop a publication", roles=SYSTEM, target="revision")
def fail_step(
    *, actor: Actor, revision: Revision, step: Step, log: str, report: dict[str, Any]
) -> PublicationStep:
    """Stop at a step that failed; what is in use stays so. Raises Postponed."""
    submission = _publishing(revision)
    _move(submission, SubmissionStatus.STUCK)
    return _set(
        revision, step, StepStatus.FAILED, log=log, report=report, finished_at=timezone.now()
    )


@action(
    "hot_update.publication.go_live",
    title="Put an approved version into use",
    roles=SYSTEM,
    target="revision",
)
def go_live(
    *, actor: Actor, revision: Revision, version: SkillVersion, log: str
) -> PublicationStep:
    """Bind the version and verify it, all or nothing; every process sees it from the commit on.

    Raises Postponed, NotVerified, VersionWithdrawn.
    """
    submission = _publishing(revision)
    _require_approved(revision)
    if recall := recall_of(revision.digest):
        raise Conflict(f"Exactly these files were withdrawn: {recall.reason}")
    with schema_context(submission.tenant.schema_name):
        verification = use_release(actor=Actor.system("publisher"), version=version)
    _move(submission, SubmissionStatus.LIVE)
    report = {**verification.report, "verification": verification.pk}
    said = [log, *(each["text"] for each in verification.report["checks"])]
    used = verification.version
    if used != version:
        said.append(f"{used} is used in the place of {version}. {used.note}")
    return _set(
        revision,
        Step.VERIFY,
        StepStatus.DONE,
        log="\n".join(said),
        report=report,
        finished_at=timezone.now(),
    )


def _publishing(revision: Revision) -> Submission:
    """Lock the submission. Raises Postponed unless this revision of it is being published."""
    submissions = Submission.objects.select_for_update(of=("self",)).select_related("tenant")
    submission = submissions.get(pk=revision.submission_id)
    latest = submission.revisions.latest("number")
    if submission.status != SubmissionStatus.PUBLISHING or latest.pk != revision.pk:
        raise Postponed(f"{revision} is not being published.")
    return submission


def _require_approved(revision: Revision) -> None:
    """Raise Conflict unless exactly these files and packages are approved, and nobody rejects."""
    verdicts = set(revision.reviews.values_list("verdict", "digest", "packages"))
    lock = Revision.objects.values_list("lock", flat=True).get(pk=revision.pk)
    if verdicts != {(Verdict.APPROVED.value, revision.digest, packages_digest(lock))}:
        raise Conflict("These files and packages are not approved.")


def _set(revision: Revision, step: Step, status: StepStatus, **values: Any) -> PublicationStep:
    row = PublicationStep.objects.select_for_update().get(revision=revision, step=step)
    for name, value in {"status": status, **values}.items():
        setattr(row, name, value)
    row.save(update_fields=["status", *values])
    return row


def _move(submission: Submission, to: SubmissionStatus) -> Submission:
    return move(submission, to=to, table=SUBMISSION_TRANSITIONS, changed_at=timezone.now())
