"""The demo's submissions: a history that was walked by people, one that waits, one sent back.

The same services as behind the pages, called one after another instead of by a worker, so that
the demo has its skills before it starts to serve.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django_tenants.utils import schema_context

from execfabric.core.actor import Actor
from execfabric.core.errors import DomainError
from executors.contract import ExecutorError
from executors.script.bundle import Bundle, read_bundle
from skills.catalogue.models import ScriptVersion
from skills.hot_update.checking import check_revision
from skills.hot_update.models import Revision
from skills.hot_update.publishing.carrying_out import publish_revision
from skills.hot_update.reviewing.locking import lock_revision
from skills.hot_update.reviewing.locks import packages_digest
from skills.hot_update.reviewing.services import add_remark, approve_submission, reject_submission
from skills.hot_update.states import SubmissionStatus, Verdict
from skills.hot_update.submitting.manifests import Draft, draft_of
from skills.hot_update.submitting.services import Answers, answer_remark, submit_script
from tenants.registry.models import Tenant

from .demo_scripts import UPDATE, UPDATED, edited

Progress = Callable[[str], None]

SCENARIOS = {
    "invoice-reminder-drafts": "Accounting checks and sends the reminders of a month at once.",
    "text-statistics": "Marketing checks that product texts are easy to read.",
}
"""Examples the demo's first tenant submits, and what for.

Two without packages: each costs half a second, most of it for the trial run, and whoever tries the
demo waits for it. All the others are onboarded directly, as an operator delivers a first batch.
"""
APPROVED = "Read and tried; it does what the README says."
UPDATE_SCENARIO = "Customers ask who wrote to them: letters carry the name of who answers for them."
UNFINISHED = "submitted/exchange-rates"
UNFINISHED_SCENARIO = "Sales quotes in the currency of the customer."
REMARK = "Whose rates are these, and may we use them for quotes?"
ANSWER = "Those of our bank; we asked, and may. I add it to the README."
SENT_BACK = (
    "It opens a connection, but the manifest says network = false. Set it to true and list the one "
    "host it needs. Say in the README under Prerequisites whose rates these are, and what happens "
    "when the service is away."
)


@dataclass(frozen=True, slots=True)
class People:
    """Who submits in the tenant, and who decides in the public domain: never the same person."""

    tenant: Tenant
    developer: Actor
    reviewer: Actor


def seed_submissions(people: People, examples: Path, progress: Progress) -> None:
    """Submit and decide what the demo shows, once; go on where an earlier start was cut off.

    Whatever people did with it since stays.
    """
    for name, scenario in SCENARIOS.items():
        _play(people, read_bundle(examples / name), scenario, _bring_live, progress)
    update = edited(read_bundle(examples / UPDATED), UPDATE)
    _play(people, update, UPDATE_SCENARIO, _leave_waiting, progress)
    unfinished = read_bundle(examples / UNFINISHED)
    _play(people, unfinished, UNFINISHED_SCENARIO, _send_back, progress)


def _play(
    people: People,
    bundle: Bundle,
    scenario: str,
    finish: Callable[[People, Revision], str],
    progress: Progress,
) -> None:
    """Submit bundle unless it is known here, then finish what is not decided by a person."""
    draft = draft_of(bundle)
    name = draft.tables["skill"]["name"]
    try:
        revision = _revision_of(people, bundle)
        if revision is None:
            with schema_context(people.tenant.schema_name):
                if ScriptVersion.objects.filter(digest=bundle.digest).exists():
                    return  # From a demo that onboarded it without a submission.
                _submit(people, bundle, draft, scenario)
            revision = _revision_of(people, bundle)
        if revision is None or revision.reviews.filter(verdict=Verdict.REJECTED).exists():
            return
        if said := finish(people, revision):
            progress(f"{people.tenant.name}: {name} {said}")
    except (DomainError, ExecutorError) as error:
        progress(f"left out {name} in {people.tenant.name}: {error}")


def _revision_of(people: People, bundle: Bundle) -> Revision | None:
    revisions = Revision.objects.select_related("submission__tenant").order_by("created_at")
    return revisions.filter(submission__tenant=people.tenant, digest=bundle.digest).first()


def _submit(people: People, bundle: Bundle, draft: Draft, scenario: str) -> None:
    said = draft.tables["skill"]
    answers = Answers(
        scenario, ai_callable=said["ai_callable"], manual=said["manual"], confirm=said["confirm"]
    )
    submit_script(actor=people.developer, bundle=bundle, manifest=draft.tables, answers=answers)


def _bring_live(people: People, revision: Revision) -> str:
    status = _checked(people, revision)
    if status == SubmissionStatus.IN_REVIEW:
        shown = lock_revision(revision)
        approve_submission(
            actor=people.reviewer,
            submission=shown.submission,
            revision_id=shown.pk,
            digest=shown.digest,
            packages=packages_digest(shown.lock),
            reason=APPROVED,
        )
    elif status != SubmissionStatus.PUBLISHING:
        return ""
    publish_revision(revision.pk)
    status = _status_of(revision)
    return "was submitted, approved and published" if status == SubmissionStatus.LIVE else status


def _leave_waiting(people: People, revision: Revision) -> str:
    if _status_of(revision) != SubmissionStatus.CHECKING:
        return ""
    _checked(people, revision)
    return "has an update that waits at the review desk"


def _send_back(people: People, revision: Revision) -> str:
    if _checked(people, revision) != SubmissionStatus.IN_REVIEW:
        return ""
    submission = revision.submission
    add_remark(actor=people.reviewer, submission=submission, text=REMARK)
    with schema_context(people.tenant.schema_name):
        answer_remark(actor=people.developer, submission=submission, text=ANSWER)
    reject_submission(
        actor=people.reviewer,
        submission=submission,
        revision_id=revision.pk,
        digest=revision.digest,
        reason=SENT_BACK,
    )
    return "was sent back with a reason"


def _checked(people: People, revision: Revision) -> str:
    """Make the checks and the trial run unless they were made; return the submission's status."""
    if _status_of(revision) == SubmissionStatus.CHECKING:
        with schema_context(people.tenant.schema_name):
            check_revision(revision.pk)
    return _status_of(revision)


def _status_of(revision: Revision) -> str:
    """Return the status of the submission; that of a revision that was replaced is no matter."""
    submission = revision.submission
    submission.refresh_from_db()
    latest = submission.revisions.latest("number")
    return submission.status if latest.pk == revision.pk else SubmissionStatus.WITHDRAWN
