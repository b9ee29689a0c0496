"""What a tenant's people do with submissions, and what the checks record about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from execfabric.core.actions import action
from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import Conflict, InvalidInput, Postponed
from execfabric.core.permissions import target_rule
from execfabric.core.roles import SYSTEM
from execfabric.core.states import move
from execfabric.core.tasks import enqueue
from executors.script.bundle import Bundle
from skills.catalogue.models import Maintainer
from skills.catalogue.services import require_maintainer
from skills.catalogue.workspace import store_bundle
from tenants.registry.models import Tenant

from ..models import Remark, Revision, Submission
from ..public import public_domain
from ..states import SUBMISSION_TRANSITIONS, SubmissionStatus
from ..storable import storable_json
from .manifests import Tables, require_name
from .selectors import SUBMITTERS, current_tenant, open_submission

LONGEST_TEXT = 4000
CHECK = "hot_update.check_revision"
"""The task that checks a revision, see ..tasks."""


class AlreadySubmitted(Conflict):
    """Another submission of the tenant for the same skill is not over yet."""

    code = "already_submitted"

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        super().__init__(
            _(
                "There is a submission for %(skill)s already. Send a new revision of it, or "
                "withdraw it first: /submissions/%(id)s/"
            )
            % {"skill": submission.skill_name, "id": submission.pk},
            fields={"submission": str(submission.pk)},
        )


@dataclass(frozen=True, slots=True)
class Answers:
    """What the reviewer needs to know besides the files."""

    scenario: str
    """What problem the script solves, and who will use it."""
    ai_callable: bool
    manual: bool
    confirm: bool
    note: str = ""


@action("hot_update.bundle.receive", title="Send script files", roles=SUBMITTERS)
def receive_bundle(*, actor: Actor, bundle: Bundle) -> str:
    """Keep the files of a submission that is still being written; return their storage name."""
    return store_bundle(bundle)


@action("hot_update.submission.submit", title="Submit a script", roles=SUBMITTERS)
def submit_script(
    *, actor: Actor, bundle: Bundle, manifest: Tables, answers: Answers,
    submitted_at: datetime | None = None,
) -> Submission:  # fmt: skip
    """Ask the platform to take a script into this tenant; the checks begin at once.

    The owner is the tenant at hand, whatever was sent. Raises InvalidInput, AlreadySubmitted.
    """
    name = require_name(manifest)
    require_maintainer(name, Maintainer.TENANT)
    _require_complete(answers)
    if earlier := open_submission(name):
        raise AlreadySubmitted(earlier)
    now = submitted_at or timezone.now()
    tenant = current_tenant()
    stored_as = store_bundle(bundle)
    try:
        with transaction.atomic(), public_domain():
            submission = Submission.objects.create(
                tenant=tenant,
                skill_name=name,
                submitted_by_id=actor.require_account(),
                submitted_by=actor.username,
                created_at=now,
                changed_at=now,
            )
    except IntegrityError:  # Somebody was faster by a moment.
        if earlier := open_submission(name):
            raise AlreadySubmitted(earlier) from None
        raise
    _add_revision(submission, actor, bundle, stored_as, manifest, answers, now)
    return submission


@action(
    "hot_update.submission.revise",
    title="Submit a new revision",
    roles=SUBMITTERS,
    target="submission",
)
def revise_submission(
    *, actor: Actor, submission: Submission, bundle: Bundle, manifest: Tables, answers: Answers,
    submitted_at: datetime | None = None,
) -> Submission:  # fmt: skip
    """Put a new revision in the place of the last one; it is checked and reviewed anew.

    Raises InvalidInput, InvalidTransition.
    """
    _require_complete(answers)
    if require_name(manifest) != submission.skill_name:
        wrong = _("This submission is about %(skill)s. Submit another skill on its own.")
        wrong %= {"skill": submission.skill_name}
        raise InvalidInput(wrong, fields={"name": wrong})
    now = submitted_at or timezone.now()
    stored_as = store_bundle(bundle)
    moved = _move_to_checking(submission, now)
    _add_revision(moved, actor, bundle, stored_as, manifest, answers, now)
    return moved


@action(
    "hot_update.submission.recheck",
    title="Check a submission again",
    roles=SUBMITTERS,
    target="submission",
)
def recheck_submission(*, actor: Actor, submission: Submission) -> Submission:
    """Make the checks again, such as after the package index could not be reached.

    Raises Conflict where it was rejected: what a reviewer refused does not come back as it is.
    """
    moved = _move_to_checking(submission, timezone.now(), is_new=False)
    with public_domain():
        latest = moved.revisions.latest("number")
    enqueue(CHECK, revision_id=str(latest.pk))
    return moved


@action(
    "hot_update.submission.withdraw",
    title="Withdraw a submission",
    roles=SUBMITTERS,
    target="submission",
)
def withdraw_submission(*, actor: Actor, submission: Submission) -> Submission:
    """Take back a submission that is not decided. Raises InvalidTransition."""
    with public_domain():
        return move(
            submission,
            to=SubmissionStatus.WITHDRAWN,
            table=SUBMISSION_TRANSITIONS,
            changed_at=timezone.now(),
        )


@action(
    "hot_update.submission.answer",
    title="Answer a reviewer",
    roles=SUBMITTERS,
    target="submission",
)
def answer_remark(*, actor: Actor, submission: Submission, text: str) -> Remark:
    """Say something about the last revision; reviewers read it. Raises InvalidInput, Conflict."""
    _require_text("text", text)
    with public_domain():
        fresh = Submission.objects.select_for_update().get(pk=submission.pk)
        if fresh.status == SubmissionStatus.WITHDRAWN:
            raise Conflict(_("This submission is withdrawn; nobody reads an answer."))
        return Remark.objects.create(
            revision=fresh.revisions.latest("number"),
            text=storable_json(text.strip()),
            author=actor.username,
            is_reviewer=False,
            created_at=timezone.now(),
        )


@action("hot_update.revision.check", title="Check a submission", roles=SYSTEM, target="revision")
def record_checks(
    *, actor: Actor, revision: Revision, checks: list[dict[str, Any]], trial: dict[str, Any]
) -> Revision:
    """Store the report of a revision and hand it to the reviewers, unless a check blocks it.

    Raises Postponed when the revision is no longer waiting for its checks.
    """
    is_blocked = any(check["level"] == "block" for check in checks)
    to = SubmissionStatus.BLOCKED if is_blocked else SubmissionStatus.IN_REVIEW
    with public_domain():
        submission = Submission.objects.select_for_update().get(pk=revision.submission_id)
        latest = submission.revisions.select_related("submission__tenant").latest("number")
        if submission.status != SubmissionStatus.CHECKING or latest.pk != revision.pk:
            raise Postponed(f"{revision} does not wait for checks.")
        latest.checks, latest.trial = storable_json(checks), storable_json(trial)
        latest.save(update_fields=["checks", "trial"])
        move(submission, to=to, table=SUBMISSION_TRANSITIONS, changed_at=timezone.now())
        return latest


@target_rule("hot_update.submission.revise")
@target_rule("hot_update.submission.recheck")
@target_rule("hot_update.submission.withdraw")
@target_rule("hot_update.submission.answer")
def _is_own(actor: Actor, submission: object) -> bool:
    """Other tenants' submissions are not even visible; should one get here, it is refused."""
    return isinstance(submission, Submission) and submission.tenant.schema_name == current_schema()


@target_rule("hot_update.revision.check")
def _is_of_own(actor: Actor, revision: object) -> bool:
    return isinstance(revision, Revision) and _is_own(actor, revision.submission)


def _move_to_checking(submission: Submission, now: datetime, *, is_new: bool = True) -> Submission:
    """is_new: whether a revision is added that nobody has looked at."""
    with public_domain():
        fresh = Submission.objects.select_for_update().get(pk=submission.pk)
        if fresh.status == SubmissionStatus.CHECKING:
            raise Conflict(_("It is still being checked. Wait for the report, or withdraw it."))
        if fresh.status == SubmissionStatus.REJECTED and not is_new:
            raise Conflict(_("A reviewer has rejected this revision. Send a new one."))
        return move(
            fresh, to=SubmissionStatus.CHECKING, table=SUBMISSION_TRANSITIONS, changed_at=now
        )


def _add_revision(
    submission: Submission,
    actor: Actor,
    bundle: Bundle,
    stored_as: str,
    manifest: Tables,
    answers: Answers,
    now: datetime,
) -> None:
    """Add the next revision; the caller holds the submission's row."""
    described = {
        "ai_callable": answers.ai_callable, "manual": answers.manual, "confirm": answers.confirm
    }  # fmt: skip
    with public_domain():
        number = submission.revisions.count() + 1
        revision = Revision.objects.create(
            submission=submission,
            number=number,
            digest=bundle.digest,
            stored_as=stored_as,
            size_bytes=bundle.size_bytes,
            manifest=storable_json({**manifest, "skill": {**manifest["skill"], **described}}),
            scenario=storable_json(answers.scenario.strip()),
            note=storable_json(answers.note.strip()),
            submitted_by_id=actor.require_account(),
            submitted_by=actor.username,
            created_at=now,
            **described,
        )
    enqueue(CHECK, revision_id=str(revision.pk))


def _require_complete(answers: Answers) -> None:
    _require_text("scenario", answers.scenario)
    if len(answers.note) > LONGEST_TEXT:
        _require_text("note", answers.note)
    if not (answers.ai_callable or answers.manual):
        wrong = _("Nobody could call it. Allow manual execution, the assistant, or both.")
        raise InvalidInput(wrong, fields={"manual": wrong})


def _require_text(field: str, text: str) -> None:
    """Raise InvalidInput unless text says something, at a length somebody reads."""
    if not text.strip() or len(text) > LONGEST_TEXT:
        wrong = _("Write something, at most %(length)d characters.") % {"length": LONGEST_TEXT}
        raise InvalidInput(wrong, fields={field: wrong})


def delete_submissions(tenant: Tenant) -> None:
    """Delete all submissions of a tenant that is deleted, with what was said about them.

    Part of that act, in the public domain. Their files lie in the tenant's storage.
    """
    Submission.objects.filter(tenant=tenant).delete()
