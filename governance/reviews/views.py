from __future__ import annotations

import io
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django_tables2 import RequestConfig

from execfabric.core.errors import DomainError, InvalidInput
from execfabric.core.permissions import can
from execfabric.web.downloads import send_file
from execfabric.web.requests import ConsoleRequest
from executors.script.bundle import Bundle
from executors.script.differences import changed_files
from skills.hot_update.models import Revision
from skills.hot_update.publishing.registered import registered_version
from skills.hot_update.recalling.services import RECALL, recall_version
from skills.hot_update.reviewing import selectors, services
from skills.hot_update.reviewing.bundles import FilesChanged, bundle_of
from skills.hot_update.reviewing.locks import packages_digest, shown_lock
from skills.hot_update.reviewing.rules import Rules, manifest_of, needs_second, rules_in_force
from skills.hot_update.states import SubmissionStatus, Verdict

from ..views import PlatformView
from .differences import changed_description, changed_packages, edits_met, live_version
from .filters import SubmissionFilter
from .forms import ReasonForm, RemarkForm, ShownForm, VerdictForm
from .sources import source_of, tree_of
from .tables import SubmissionTable

PER_PAGE = 50


class ReviewView(PlatformView):
    """Base of everything about one submission; 404 for who may not review."""

    permission = selectors.READ

    def submission(self, submission_id: UUID) -> Any:
        rows = selectors.submissions_to_review(self.request.actor)
        return get_object_or_404(rows, pk=submission_id)


class ReviewList(ReviewView):
    template_name = "governance/review_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        found = SubmissionFilter(
            request.GET, queryset=selectors.submissions_to_review(request.actor)
        )
        table = SubmissionTable(found.qs)
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        return self.render(filter=found, table=table)


class ReviewDetail(ReviewView):
    """Everything a reviewer needs to decide, and the verdict."""

    template_name = "governance/review_detail.html"

    def get(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        return self.page(self.submission(submission_id))

    def page(
        self, submission: Any, *, form: VerdictForm | None = None, status: int = 200
    ) -> HttpResponse:
        revision = selectors.latest_revision(submission)
        rules, problem = _rules_of(revision)
        bundle, changed = _bundle_of(revision)
        lock = shown_lock(revision)
        if rules is not None and form is None:
            shown = {
                "revision": revision.pk,
                "digest": revision.digest,
                "packages": packages_digest(lock),
            }
            form = VerdictForm(rules=rules, initial=shown)
        is_open = submission.status == SubmissionStatus.IN_REVIEW
        approved = [each for each in revision.reviews.all() if each.verdict == Verdict.APPROVED]
        return self.render(
            status=status,
            submission=submission,
            state=SubmissionStatus(submission.status),
            revision=revision,
            problem=problem or changed,
            form=form,
            may_decide=is_open and rules is not None and bundle is not None,
            may_reject=submission.status in (SubmissionStatus.IN_REVIEW, SubmissionStatus.STUCK),
            may_resume=submission.status == SubmissionStatus.STUCK,
            waits_for_second=is_open and bool(approved),
            second_needed=rules is not None
            and needs_second(rules, is_required=settings.SECOND_REVIEWER),
            is_locked=lock is not None,
            lock_problem=(lock or {}).get("problem", ""),
            needs_packages=bool((lock or {}).get("text")),
            manifest=manifest_of(revision, rules).to_toml() if rules is not None else "",
            tree=tree_of(bundle) if bundle else [],
            entry=_entry_of(revision, bundle),
            remark_form=RemarkForm(),
            remarks=selectors.remarks_on(submission),
            revisions=selectors.revisions_of(submission),
            steps=revision.steps.all(),
            recall=selectors.recall_of(revision.digest),
            may_withdraw=submission.status == SubmissionStatus.LIVE
            and can(self.request.actor, RECALL, submission.tenant),
            **_differences(revision, bundle, rules),
        )


class ReviewApprove(ReviewDetail):
    permission = "hot_update.submission.approve"

    def post(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        submission = self.submission(submission_id)
        rules = rules_in_force(selectors.latest_revision(submission))
        form = VerdictForm(request.POST, rules=rules)
        if not form.is_valid():
            return self.page(submission, form=form, status=422)
        wanted = form.cleaned_data
        try:
            services.approve_submission(
                actor=request.actor,
                submission=submission,
                revision_id=wanted["revision"],
                digest=wanted["digest"],
                packages=wanted["packages"],
                rules=form.rules(),
                reason=wanted["reason"],
            )
        except InvalidInput as error:
            for name, text in (error.fields or {"": error.message}).items():
                form.add_error(name if name in form.fields else None, text)
            return self.page(submission, form=form, status=422)
        submission.refresh_from_db(fields=["status"])
        if submission.status == SubmissionStatus.IN_REVIEW:
            messages.success(request, _("Approved. It is published once a second reviewer agrees."))
        else:
            messages.success(request, _("Approved. It is being published."))
        return redirect("governance:review-detail", submission_id)

    def get(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        return redirect("governance:review-detail", submission_id)


class ReviewReject(ReviewView):
    permission = "hot_update.submission.reject"

    def post(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        submission = self.submission(submission_id)
        form = ShownForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("Load the page again: it is not known what was looked at."))
            return redirect("governance:review-detail", submission_id)
        shown = form.cleaned_data
        try:
            services.reject_submission(
                actor=request.actor,
                submission=submission,
                revision_id=shown["revision"],
                digest=shown["digest"],
                reason=shown["reason"],
            )
        except InvalidInput as error:
            messages.error(request, next(iter(error.fields.values()), error.message))
        else:
            messages.success(request, _("Rejected. The tenant reads why, and can submit again."))
        return redirect("governance:review-detail", submission_id)


class ReviewRemark(ReviewView):
    permission = "hot_update.submission.remark"

    def post(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        submission = self.submission(submission_id)
        form = RemarkForm(request.POST)
        if form.is_valid():
            services.add_remark(
                actor=request.actor, submission=submission, text=form.cleaned_data["text"]
            )
            messages.success(request, _("The tenant reads your remark."))
        else:
            messages.error(request, _("Write something, at most 4000 characters."))
        return redirect("governance:review-detail", submission_id)


class ReviewResume(ReviewView):
    permission = "hot_update.submission.resume"

    def post(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        services.resume_publication(actor=request.actor, submission=self.submission(submission_id))
        messages.success(request, _("It goes on from the step that failed."))
        return redirect("governance:review-detail", submission_id)


class ReviewWithdraw(ReviewView):
    """Withdraws the version that came out of a submission."""

    permission = RECALL

    def post(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        submission = self.submission(submission_id)
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("Give a reason of at most 2000 characters."))
            return redirect("governance:review-detail", submission_id)
        version = registered_version(selectors.latest_revision(submission))
        recall = recall_version(
            actor=request.actor,
            tenant=submission.tenant,
            skill=submission.skill_name,
            number=version.number,
            reason=form.cleaned_data["reason"],
        )
        messages.success(
            request,
            _("Withdrawn in %(count)d places. Nobody starts it any more.")
            % {"count": len(recall.places)},
        )
        return redirect("governance:review-detail", submission_id)


class ReviewFiles(ReviewView):
    """The files of the latest revision: the tree, and one of them."""

    template_name = "governance/review_files.html"

    def get(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        submission = self.submission(submission_id)
        revision = selectors.latest_revision(submission)
        bundle = bundle_of(revision)
        wanted = request.GET.get("path", "") or bundle.files[0].path
        file = next((each for each in bundle.files if each.path == wanted), None)
        if file is None:
            raise Http404
        return self.render(
            submission=submission, revision=revision, tree=tree_of(bundle), source=source_of(file)
        )


class ReviewBundle(ReviewView):
    """Everything that was submitted, as an archive."""

    def get(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponseBase:
        revision = selectors.latest_revision(self.submission(submission_id))
        packed = bundle_of(revision).pack()
        name = f"{revision.submission.skill_name}-r{revision.number}.tar.gz"
        return send_file(io.BytesIO(packed), name=name, size_bytes=len(packed))


def _rules_of(revision: Revision) -> tuple[Rules | None, str]:
    try:
        return rules_in_force(revision), ""
    except DomainError as error:
        return None, error.message


def _bundle_of(revision: Revision) -> tuple[Bundle | None, str]:
    try:
        return bundle_of(revision), ""
    except FilesChanged as error:
        return None, error.message


def _entry_of(revision: Revision, bundle: Bundle | None) -> Any:
    """Return the script itself, to be read at once; None where it cannot be."""
    name = revision.manifest.get("skill", {}).get("entry", "main.py")
    files = bundle.files if bundle else ()
    return next((source_of(file) for file in files if file.path == name), None)


def _differences(revision: Revision, bundle: Bundle | None, rules: Rules | None) -> dict[str, Any]:
    live = live_version(revision)
    script = live.version.script_version if live else None
    edits = edits_met(live, revision, rules) if live and rules is not None else []
    description = (
        changed_description(live, revision, rules, edits) if live and rules is not None else None
    )
    packages = changed_packages(live, shown_lock(revision))
    same_files = script is not None and script.digest == revision.digest
    return {
        "live": live.version if live else None,
        "live_is_this": same_files and not description and not packages,
        "file_changes": changed_files(live.bundle, bundle)
        if live and live.bundle and bundle
        else [],
        "edits": edits,
        "description_change": description,
        "package_change": packages,
    }
