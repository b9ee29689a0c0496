"""What reviewers do with submissions. Every verdict is about the files that were shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tenants.utils import schema_context

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.roles import PLATFORM, SYSTEM
from execfabric.core.states import move
from tenants.accounts.actors import roles_of
from tenants.accounts.models import Account

from ..models import Remark, Review, Revision, Submission
from ..publishing.services import restart_publication, start_publication
from ..states import SUBMISSION_TRANSITIONS, SubmissionStatus, Verdict
from .bundles import bundle_of
from .locks import packages_digest, shown_lock
from .rules import Rules, changed, needs_second, rules_in_force, tighten
from .selectors import recall_of

LONGEST_TEXT = 4000


class Outdated(Conflict):
    """What the verdict is about is not what lies there now."""

    code = "outdated"


@action(
    "hot_update.submission.approve",
    title="Approve a submission",
    roles=PLATFORM,
    target="submission",
)
def approve_submission(
    *,
    actor: Actor,
    submission: Submission,
    revision_id: UUID,
    digest: str,
    packages: str,
    rules: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Review:
    """Approve exactly the revision, files and packages that were shown; publishing begins at once.

    Unless two must approve: then it begins with the second one; the first counts while they are a
    reviewer. packages: digest of the lock, empty
    where it needs none (locks.packages_digest). rules tighten what was asked for.
    Raises Conflict (decided, withdrawn or replaced meanwhile), FilesChanged, InvalidInput,
    NotPermitted.
    """
    fresh, revision = _revision_shown(submission, revision_id, digest)
    _require_open(fresh, SubmissionStatus.IN_REVIEW)
    _require_reviewer(actor)
    _require_other_person(actor, revision)
    _require_text("reason", reason, may_be_empty=True)
    _keep_lock(revision)
    if packages_digest(revision.lock) != packages:
        raise Outdated(
            _("These are not the packages you looked at. Nothing was decided; load the page again.")
        )
    if recall := recall_of(revision.digest):
        raise Conflict(
            _("Exactly these files were withdrawn before: %(reason)s") % {"reason": recall.reason}
        )
    bundle_of(revision)
    before = rules_in_force(revision)
    after = tighten(before, rules or {})
    approved = {one.reviewer_id: one for one in revision.reviews.filter(verdict=Verdict.APPROVED)}
    own = approved.pop(actor.require_account(), None)
    is_enough = any(map(_is_reviewer, approved)) or not needs_second(
        after, is_required=settings.SECOND_REVIEWER
    )
    if own is not None and not is_enough:
        raise Conflict(_("You have approved this already; another reviewer must, too."))
    # Who says it again, since their word did not count meanwhile, takes back nothing of the first.
    kept = {key: after[key] for key in own.tightened} if own else {}
    tightened = {**kept, **changed(before, after)}
    review = _decide(actor, revision, Verdict.APPROVED, reason, tightened)
    if is_enough:
        _move(fresh, SubmissionStatus.PUBLISHING)
        start_publication(revision)
    return review


@action(
    "hot_update.submission.reject", title="Reject a submission", roles=PLATFORM, target="submission"
)
def reject_submission(
    *, actor: Actor, submission: Submission, revision_id: UUID, digest: str, reason: str
) -> Review:
    """Send a submission back; the tenant reads the reason and can submit a new revision.

    Raises Conflict, InvalidInput without a reason, NotPermitted.
    """
    fresh, revision = _revision_shown(submission, revision_id, digest)
    _require_open(fresh, SubmissionStatus.IN_REVIEW, SubmissionStatus.STUCK)
    _require_reviewer(actor)
    _require_other_person(actor, revision)
    _require_text("reason", reason)
    review = _decide(actor, revision, Verdict.REJECTED, reason, {})
    _move(fresh, SubmissionStatus.REJECTED)
    return review


@action(
    "hot_update.submission.remark",
    title="Say something about a submission",
    roles=PLATFORM,
    target="submission",
)
def add_remark(*, actor: Actor, submission: Submission, text: str) -> Remark:
    """Say something about the latest revision, to the tenant. Raises InvalidInput, Conflict."""
    _require_text("text", text)
    fresh = Submission.objects.select_for_update().get(pk=submission.pk)
    if fresh.status == SubmissionStatus.WITHDRAWN:
        raise Conflict(_("The tenant has withdrawn this submission."))
    return Remark.objects.create(
        revision=fresh.revisions.latest("number"),
        text=text.strip(),
        author=actor.username,
        is_reviewer=True,
        created_at=timezone.now(),
    )


@action(
    "hot_update.submission.resume",
    title="Resume a publication that stopped",
    roles=PLATFORM,
    target="submission",
)
def resume_publication(*, actor: Actor, submission: Submission) -> Submission:
    """Let a publication go on from the step that failed. Raises Conflict."""
    fresh = Submission.objects.select_for_update().get(pk=submission.pk)
    if fresh.status != SubmissionStatus.STUCK:
        raise Conflict(_("Only a publication that stopped can be resumed."))
    moved = _move(fresh, SubmissionStatus.PUBLISHING)
    restart_publication(moved.revisions.latest("number"))
    return moved


@action(
    "hot_update.revision.lock",
    title="Lock the packages of a revision",
    roles=SYSTEM,
    target="revision",
)
def record_lock(*, actor: Actor, revision: Revision, lock: dict[str, Any]) -> Revision:
    """Keep the packages of a revision; the first lock stays, whoever comes later.

    One that failed is kept with how often it was tried, so that it is tried again, less and less.
    """
    fresh = Revision.objects.select_for_update(of=("self",)).select_related("submission__tenant")
    kept = fresh.get(pk=revision.pk)
    if kept.lock is None or "problem" in kept.lock:
        if "problem" in lock:
            tries = (kept.lock or {}).get("tries", 0) + 1
            lock = {**lock, "tries": tries, "tried_at": timezone.now().isoformat()}
        kept.lock = lock
        kept.save(update_fields=["lock"])
    return kept


def _revision_shown(
    submission: Submission, revision_id: UUID, digest: str
) -> tuple[Submission, Revision]:
    """Lock the submission; return it with its latest revision. Raises Outdated for any other."""
    fresh = Submission.objects.select_for_update().get(pk=submission.pk)
    latest = fresh.revisions.select_related("submission__tenant").latest("number")
    if latest.pk != revision_id:
        raise Outdated(
            _("Revision %(number)d came in meanwhile. Nothing was decided; look at it first.")
            % {"number": latest.number}
        )
    if latest.digest != digest:
        raise Outdated(
            _("These are not the files you looked at. Nothing was decided; load the page again.")
        )
    return fresh, latest


def _require_open(submission: Submission, *statuses: SubmissionStatus) -> None:
    if submission.status in statuses:
        return
    if submission.status == SubmissionStatus.WITHDRAWN:
        raise Conflict(_("The tenant has withdrawn this submission. Nothing was decided."))
    raise Conflict(
        _("Nothing was decided: this submission is %(status)s.")
        % {"status": str(SubmissionStatus(submission.status).label).lower()}
    )


def _require_reviewer(actor: Actor) -> None:
    """Raise NotPermitted for somebody who lost the role since the request came in."""
    if not _is_reviewer(actor.require_account()):
        raise NotPermitted(_("You are no reviewer any more."))


def _is_reviewer(account_id: int) -> bool:
    account = Account.objects.filter(pk=account_id).first()
    return account is not None and bool(roles_of(account) & PLATFORM)


def _require_other_person(actor: Actor, revision: Revision) -> None:
    """Raise NotPermitted for whoever submitted any revision, by username or e-mail address.

    However these are written: upper or lower case, composed or not, half or full width.
    """
    reviewer = Account.objects.get(pk=actor.require_account())
    submission = revision.submission
    authors = dict(submission.revisions.values_list("submitted_by_id", "submitted_by"))
    authors[submission.submitted_by_id] = submission.submitted_by
    with schema_context(submission.tenant.schema_name):
        people = Account.objects.filter(pk__in=authors)
        known = {text for pair in people.values_list("username", "email") for text in pair}
    known |= set(authors.values())
    own = {reviewer.username, reviewer.email}
    if ({*map(_folded, own)} & {*map(_folded, known)}) - {""}:
        raise NotPermitted(_("Who submitted a script cannot decide on it. Ask another reviewer."))


def _folded(text: str) -> str:
    """Return the one form of a name or address that all its ways of being written have."""
    composed = unicodedata.normalize("NFKC", text.strip()).casefold()
    return unicodedata.normalize("NFKC", composed)


def _keep_lock(revision: Revision) -> None:
    """Keep the packages that were shown. Raises Conflict where there are none yet, or never."""
    if revision.lock is None and (shown := shown_lock(revision)) is not None:
        revision.lock = shown
        revision.save(update_fields=["lock"])
    if revision.lock is None:
        raise Conflict(_("Its packages are still being locked. Load the page again in a moment."))
    if problem := revision.lock.get("problem"):
        raise Conflict(
            _("Its packages cannot be locked, so nothing could be installed: %(problem)s")
            % {"problem": problem}
        )


def _decide(
    actor: Actor, revision: Revision, verdict: Verdict, reason: str, tightened: Rules
) -> Review:
    """Store the verdict; who approved first and rejects now has changed their mind."""
    review, _created = Review.objects.update_or_create(
        revision=revision,
        reviewer_id=actor.require_account(),
        defaults={
            "digest": revision.digest,
            "packages": packages_digest(revision.lock),
            "verdict": verdict,
            "reason": reason.strip(),
            "tightened": tightened,
            "reviewer": actor.username,
            "created_at": timezone.now(),
        },
    )
    return review


def _move(submission: Submission, to: SubmissionStatus) -> Submission:
    return move(submission, to=to, table=SUBMISSION_TRANSITIONS, changed_at=timezone.now())


def _require_text(field: str, text: str, *, may_be_empty: bool = False) -> None:
    if not (text.strip() or may_be_empty):
        wrong = _("Write what has to change.") if field == "reason" else _("Write something.")
        raise InvalidInput(wrong, fields={field: wrong})
    if len(text) > LONGEST_TEXT:
        wrong = _("At most %(length)d characters.") % {"length": LONGEST_TEXT}
        raise InvalidInput(wrong, fields={field: wrong})
