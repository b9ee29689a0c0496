from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_tables2 import RequestConfig

from execfabric.core.errors import DomainError, InvalidInput, NotPermitted
from execfabric.core.permissions import can, require
from execfabric.web.forms import build_form
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView, add_domain_error
from executors.script.bundle import README
from executors.script.differences import changed_files, changed_text

from ..models import Revision, Submission
from ..states import SUBMISSION_TRANSITIONS, SubmissionStatus
from . import services
from .forms import AnswerForm, AnswersForm, ManifestForm, UploadForm
from .intake import PendingFiles, pending_files, read_stored, read_upload
from .manifests import Draft, Tables, draft_of, manifest_of, toml_of, with_changes
from .selectors import (
    latest_revision,
    publication_of,
    remarks_on,
    submissions_of_current_tenant,
    verdicts_on,
)
from .tables import SubmissionTable

PER_PAGE = 25
POLL_S = 2
GOES_ON = frozenset({SubmissionStatus.CHECKING, SubmissionStatus.PUBLISHING})


class SubmissionList(ConsoleView):
    template_name = "hot_update/submission_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        require(request.actor, "hot_update.submission.read")
        table = SubmissionTable(submissions_of_current_tenant(request.actor))
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        return self.render(table=table)


class SubmissionView(ConsoleView):
    """Base of everything about one submission; 404 when it is not one of this tenant's."""

    def submission(self, submission_id: UUID) -> Submission:
        return get_object_or_404(
            submissions_of_current_tenant(self.request.actor), pk=submission_id
        )


class SendFiles(SubmissionView):
    """The first page of a submission: the folder, or an archive of it."""

    template_name = "hot_update/send_files.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        require(request.actor, "hot_update.bundle.receive")
        return self.render(form=UploadForm(), submission=None)

    def post(self, request: ConsoleRequest) -> HttpResponse:
        return self.receive(None)

    def receive(self, submission: Submission | None) -> HttpResponse:
        actor = self.request.actor
        form = UploadForm(self.request.POST, self.request.FILES)
        if not form.is_valid():
            return self.invalid(form, submission=submission)
        received = form.cleaned_data["bundle"]
        try:
            require(actor, "hot_update.bundle.receive")
            stored_as = services.receive_bundle(actor=actor, bundle=read_upload(received))
        except InvalidInput as error:
            return self.invalid(form, error=error, submission=submission)
        name = "" if submission else (received.name or "").split(".")[0]
        pending = PendingFiles(stored_as, name, submission.pk if submission else None)
        return redirect("submissions:describe", pending.sign(actor))


class ReviseFiles(SendFiles):
    """The same for a new revision."""

    def get(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:  # type: ignore[override]
        return self.render(form=UploadForm(), submission=self.submission(submission_id))

    def post(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:  # type: ignore[override]
        return self.receive(self.submission(submission_id))


class Rewrite(SubmissionView):
    """A new revision with the same files: leads on to the description of them."""

    def post(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        submission = self.submission(submission_id)
        stored_as = latest_revision(submission).stored_as
        pending = PendingFiles(stored_as, "", submission.pk)
        return redirect("submissions:describe", pending.sign(request.actor))


class DraftView(SubmissionView):
    """Base of what is done with files that were sent, but not submitted yet."""

    def load(self, signed: str) -> tuple[PendingFiles, Submission | None]:
        pending = pending_files(self.request.actor, signed)
        submission = self.submission(pending.submission_id) if pending.submission_id else None
        return pending, submission

    def draft(self, pending: PendingFiles, submission: Submission | None) -> Draft:
        """Return the manifest to start from: of a revision with the same files, what it said."""
        bundle = read_stored(pending.stored_as)
        draft = draft_of(bundle, name=submission.skill_name if submission else "")
        earlier = latest_revision(submission) if submission else None
        same = earlier is not None and earlier.stored_as == pending.stored_as
        if earlier is not None and same and not draft.problem:
            return Draft(earlier.manifest)
        if not submission and "skill.toml" not in {file.path for file in bundle.files}:
            return draft_of(bundle, name=pending.name) if pending.name else draft
        return draft


class Describe(DraftView):
    """The second page: what the skill is called and says, and what the reviewer should know."""

    template_name = "hot_update/describe.html"

    def get(self, request: ConsoleRequest, draft: str) -> HttpResponse:
        pending, submission = self.load(draft)
        found = self.draft(pending, submission)
        manifest = ManifestForm(found.tables, fixed_name=submission is not None)
        skill = found.tables["skill"]
        told = {
            name: skill.get(name, name == "manual") for name in ("manual", "ai_callable", "confirm")
        }
        if submission:
            earlier = latest_revision(submission)
            told |= {"scenario": earlier.scenario, "note": ""}
        answers = AnswersForm(initial=told)
        return self._page(draft, found, submission, manifest, answers, preview_of(found.tables))

    def post(self, request: ConsoleRequest, draft: str) -> HttpResponse:
        pending, submission = self.load(draft)
        found = self.draft(pending, submission)
        form = ManifestForm(found.tables, request.POST, fixed_name=submission is not None)
        answers = AnswersForm(request.POST)
        if form.is_valid() & answers.is_valid():
            try:
                sent = self._submit(pending, submission, found, form, answers)
                return redirect("submissions:submission-detail", sent.pk)
            except NotPermitted:
                raise
            except services.AlreadySubmitted as error:
                messages.error(request, error.message)
                return redirect("submissions:submission-detail", error.submission.pk)
            except DomainError as error:
                add_domain_error(
                    answers if error.fields.keys() & answers.fields.keys() else form, error
                )
        page = self._page(draft, found, submission, form, answers, preview_of(found.tables))
        page.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
        return page

    def _submit(
        self,
        pending: PendingFiles,
        submission: Submission | None,
        found: Draft,
        form: ManifestForm,
        answers: AnswersForm,
    ) -> Submission:
        changes = form.changes()
        manifest = (
            _renamed(found, changes) if found.problem else with_changes(found.tables, changes)
        )
        given: dict[str, Any] = {
            "actor": self.request.actor,
            "bundle": read_stored(pending.stored_as),
            "manifest": manifest,
            "answers": answers.answers(),
        }
        if submission:
            return services.revise_submission(submission=submission, **given)
        return services.submit_script(**given)

    def _page(
        self,
        signed: str,
        found: Draft,
        submission: Submission | None,
        manifest: ManifestForm,
        answers: AnswersForm,
        preview: Any,
    ) -> HttpResponse:
        return self.render(
            draft=signed,
            problem=found.problem,
            submission=submission,
            manifest=manifest,
            answers=answers,
            preview=preview,
        )


class FormPreview(DraftView):
    """The form that users will see, made of what the editor holds right now."""

    template_name = "hot_update/form_preview.html"

    def post(self, request: ConsoleRequest, draft: str) -> HttpResponse:
        pending, submission = self.load(draft)
        found = self.draft(pending, submission)
        form = ManifestForm(found.tables, request.POST, fixed_name=submission is not None)
        problem, tables = "", found.tables
        try:
            if form.is_valid():
                tables = with_changes(found.tables, form.changes())
            else:
                problem = _("Some fields of the editor are not right yet.")
        except InvalidInput as error:
            problem = error.message
        return self.render(preview=preview_of(tables), preview_problem=problem)


class SubmissionDetail(SubmissionView):
    template_name = "hot_update/submission_detail.html"
    partial_name = "state"

    def get(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        submission = self.submission(submission_id)
        revisions = list(submission.revisions.all())
        status = SubmissionStatus(submission.status)
        follows = SUBMISSION_TRANSITIONS[status]
        return self.render(
            submission=submission,
            state=status,
            revisions=revisions,
            latest=revisions[0],
            counts=_counts(revisions[0]),
            talk=_talk(submission),
            steps=publication_of(submission),
            answer=AnswerForm(),
            poll_s=POLL_S if status in GOES_ON else 0,
            may_revise=SubmissionStatus.CHECKING in follows
            and can(request.actor, "hot_update.submission.revise", submission),
            may_withdraw=SubmissionStatus.WITHDRAWN in follows
            and can(request.actor, "hot_update.submission.withdraw", submission),
            may_answer=status != SubmissionStatus.WITHDRAWN,
        )


class RevisionDetail(SubmissionView):
    """What one revision holds, and what changed since the one before."""

    template_name = "hot_update/revision_detail.html"

    def get(self, request: ConsoleRequest, revision_id: UUID) -> HttpResponse:
        submission = get_object_or_404(
            submissions_of_current_tenant(request.actor), revisions=revision_id
        )
        revision = submission.revisions.get(pk=revision_id)
        before = submission.revisions.filter(number=revision.number - 1).first()
        bundle = read_stored(revision.stored_as)
        changes = changed_files(read_stored(before.stored_as), bundle) if before else []
        text = toml_of(revision.manifest)
        return self.render(
            submission=submission,
            revision=revision,
            before=before,
            files=[(file.path, len(file.content)) for file in bundle.files],
            changes=changes,
            manifest_change=changed_text("skill.toml", toml_of(before.manifest), text)
            if before
            else None,
            manifest_text=text,
            readme=(bundle.read(README) or b"").decode("utf-8", "replace"),
        )


class ActView(SubmissionView):
    """POST that does one thing to one submission and goes back to its page."""

    service: Callable[..., Submission]
    done: ClassVar[Any] = ""

    def post(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        submission = self.submission(submission_id)
        self.service(actor=request.actor, submission=submission)
        messages.success(request, str(self.done))
        return redirect("submissions:submission-detail", submission_id)


class Recheck(ActView):
    service = staticmethod(services.recheck_submission)
    done = gettext_lazy("The checks are made again.")


class Withdraw(ActView):
    service = staticmethod(services.withdraw_submission)
    done = gettext_lazy("Withdrawn. You can submit the skill again at any time.")


class Answer(SubmissionView):
    def post(self, request: ConsoleRequest, submission_id: UUID) -> HttpResponse:
        submission = self.submission(submission_id)
        text = request.POST.get("text", "")
        services.answer_remark(actor=request.actor, submission=submission, text=text)
        return redirect("submissions:submission-detail", submission_id)


def preview_of(tables: Tables) -> Any:
    """Return the input form of a manifest, as the skill's page makes it; None without one."""
    manifest = manifest_of(tables)
    return build_form(manifest.input_schema(), prefix="preview") if manifest else None


def _renamed(found: Draft, changes: Tables) -> Tables:
    """Return the little that is known of an unusable manifest, under the name that was chosen."""
    return {**found.tables, "skill": {**found.tables["skill"], "name": changes["skill"]["name"]}}


def _counts(revision: Revision) -> dict[str, int]:
    levels = [entry["level"] for entry in revision.checks]
    return {level: levels.count(level) for level in ("block", "warn", "pass")}


def _talk(submission: Submission) -> list[dict[str, Any]]:
    """Return remarks and verdicts together, oldest first."""
    said = [{"kind": "remark", "at": one.created_at, "one": one} for one in remarks_on(submission)]
    said += [
        {"kind": "verdict", "at": one.created_at, "one": one} for one in verdicts_on(submission)
    ]
    return sorted(said, key=lambda entry: entry["at"])
