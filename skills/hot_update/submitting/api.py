from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from executors.script.bundle import Bundle

from ..models import Submission
from ..states import SubmissionStatus
from . import services
from .intake import read_upload
from .manifests import Draft, Tables, draft_of, with_changes
from .selectors import submissions_of_current_tenant
from .serializers import (
    RemarkIn,
    RevisionIn,
    SubmissionDetailOut,
    SubmissionIn,
    SubmissionOut,
)


class SubmissionView(ApiView):
    """A view about one submission; 404 when it is not one of this tenant's."""

    def submission(self, request: ApiRequest, submission_id: str) -> Submission:
        found: Submission = self.find(
            submissions_of_current_tenant(request.actor), pk=submission_id
        )
        return found

    def answer(self, request: ApiRequest, submission: Submission, status: int = 200) -> Response:
        said = SubmissionDetailOut(submission, context={"request": request})
        return Response(said.data, status=status)


class SubmissionListView(SubmissionView):
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="submissions_list",
        tags=["submissions"],
        parameters=[OpenApiParameter("status", str, enum=SubmissionStatus.values)],
        responses={200: SubmissionOut(many=True), **error_responses(400, 401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the submissions of this tenant, newest first."""
        found = submissions_of_current_tenant(request.actor)
        if status := request.query_params.get("status"):
            if status not in SubmissionStatus.values:
                known = ", ".join(SubmissionStatus.values)
                raise ValidationError({"status": f"Must be one of: {known}."})
            found = found.filter(status=status)
        return self.page(found, SubmissionOut)

    @extend_schema(
        operation_id="submissions_create",
        tags=["submissions"],
        request={"multipart/form-data": SubmissionIn},
        responses={201: SubmissionDetailOut, **error_responses(400, 401, 403, 409, 413)},
    )
    def post(self, request: ApiRequest) -> Response:
        """Submit a script folder to this tenant. It is checked at once, then reviewed."""
        said = _read(SubmissionIn, request)
        bundle = read_upload(said["bundle"])
        manifest = _manifest(draft_of(bundle, name=said["name"]), said)
        submission = services.submit_script(
            actor=request.actor, bundle=bundle, manifest=manifest, answers=_answers(manifest, said)
        )
        return self.answer(request, submission, 201)


class SubmissionDetailView(SubmissionView):
    @extend_schema(
        operation_id="submissions_retrieve",
        tags=["submissions"],
        responses={200: SubmissionDetailOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, submission_id: str) -> Response:
        """Return one submission with its revisions, reports, remarks and verdicts."""
        return self.answer(request, self.submission(request, submission_id))


class ReviseView(SubmissionView):
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="submissions_revise",
        tags=["submissions"],
        request={"multipart/form-data": RevisionIn},
        responses={201: SubmissionDetailOut, **error_responses(400, 401, 403, 404, 409, 413)},
    )
    def post(self, request: ApiRequest, submission_id: str) -> Response:
        """Send a new revision of a submission, such as after a remark."""
        submission = self.submission(request, submission_id)
        said = _read(RevisionIn, request)
        bundle: Bundle = read_upload(said["bundle"])
        manifest = _manifest(draft_of(bundle, name=submission.skill_name), said)
        revised = services.revise_submission(
            actor=request.actor,
            submission=submission,
            bundle=bundle,
            manifest=manifest,
            answers=_answers(manifest, said),
        )
        return self.answer(request, revised, 201)


class _ActView(SubmissionView):
    """POST that does one thing to one submission."""

    service: Callable[..., Submission]

    def act(self, request: ApiRequest, submission_id: str) -> Response:
        submission = self.submission(request, submission_id)
        return self.answer(request, self.service(actor=request.actor, submission=submission))


def _describe(name: str, summary: str) -> Callable[[Any], Any]:
    return extend_schema(
        operation_id=f"submissions_{name}",
        tags=["submissions"],
        summary=summary,
        request=None,
        responses={200: SubmissionDetailOut, **error_responses(401, 403, 404, 409)},
    )


class RecheckView(_ActView):
    service = staticmethod(services.recheck_submission)

    @_describe("recheck", "Make the automatic checks again.")
    def post(self, request: ApiRequest, submission_id: str) -> Response:
        return self.act(request, submission_id)


class WithdrawView(_ActView):
    service = staticmethod(services.withdraw_submission)

    @_describe("withdraw", "Take back a submission that is not decided.")
    def post(self, request: ApiRequest, submission_id: str) -> Response:
        return self.act(request, submission_id)


class AnswerView(SubmissionView):
    @extend_schema(
        operation_id="submissions_answer",
        tags=["submissions"],
        request=RemarkIn,
        responses={201: SubmissionDetailOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, submission_id: str) -> Response:
        """Answer the reviewers' remarks."""
        submission = self.submission(request, submission_id)
        body = RemarkIn(data=request.data)
        body.is_valid(raise_exception=True)
        services.answer_remark(
            actor=request.actor, submission=submission, text=body.validated_data["text"]
        )
        return self.answer(request, submission, 201)


def _read(serializer: type[RevisionIn], request: ApiRequest) -> dict[str, Any]:
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _manifest(draft: Draft, said: dict[str, Any]) -> Tables:
    """Return the effective manifest; where a bundle has no usable one, the checks say so."""
    return draft.tables if draft.problem else with_changes(draft.tables, said["manifest"])


def _answers(manifest: Tables, said: dict[str, Any]) -> services.Answers:
    skill = manifest["skill"]
    told = {"ai_callable": skill.get("ai_callable", False), "manual": skill.get("manual", True),
            "confirm": skill.get("confirm", False)}  # fmt: skip
    given = {name: said[name] for name in told if said[name] is not None}
    return services.Answers(scenario=said["scenario"], note=said["note"], **(told | given))
