from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.response import Response

from execfabric.core.errors import InvalidInput
from execfabric.core.permissions import require
from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from skills.hot_update.recalling.services import RECALL, recall_version
from skills.hot_update.reviewing import services
from skills.hot_update.reviewing.selectors import READ, submissions_to_review
from skills.hot_update.states import SubmissionStatus
from tenants.registry.selectors import tenants_visible_to

from .serializers import (
    ApproveIn,
    RecallOut,
    RejectIn,
    RemarkIn,
    RemarkOut,
    ReviewOut,
    SubmissionDetailOut,
    SubmissionOut,
    WithdrawIn,
)

TAG = ["submissions"]


def submission_of(view: ApiView, request: ApiRequest, submission_id: UUID) -> Any:
    """Return the submission of a request; 403 for who may not review."""
    require(request.actor, READ)
    return view.find(submissions_to_review(request.actor), pk=submission_id)


class SubmissionListView(ApiView):
    @extend_schema(
        operation_id="submissions_list",
        tags=TAG,
        parameters=[
            OpenApiParameter("status", str, enum=SubmissionStatus.values),
            OpenApiParameter("tenant", str, description="Name of a tenant."),
            OpenApiParameter("risk", str, enum=["low", "medium", "high"]),
        ],
        responses={200: SubmissionOut(many=True), **error_responses(400, 401, 403)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the submissions of all tenants, newest first."""
        require(request.actor, READ)
        rows: Any = submissions_to_review(request.actor)
        asked = request.query_params
        if status := asked.get("status"):
            if status not in SubmissionStatus.values:
                raise InvalidInput(
                    "There is no such status.",
                    fields={"status": f"One of: {', '.join(SubmissionStatus.values)}."},
                )
            rows = rows.filter(status=status)
        if tenant := asked.get("tenant"):
            rows = rows.filter(tenant__name=tenant.replace("\0", ""))
        if risk := asked.get("risk"):
            rows = rows.filter(risk=risk.replace("\0", ""))
        return self.page(rows, SubmissionOut)


class SubmissionDetailView(ApiView):
    @extend_schema(
        operation_id="submissions_retrieve",
        tags=TAG,
        responses={200: SubmissionDetailOut, **error_responses(401, 403, 404)},
    )
    def get(self, request: ApiRequest, submission_id: UUID) -> Response:
        """Return a submission with its latest revision, report, trial run, steps and remarks."""
        return Response(SubmissionDetailOut(submission_of(self, request, submission_id)).data)


class SubmissionApproveView(ApiView):
    @extend_schema(
        operation_id="submissions_approve",
        tags=TAG,
        request=ApproveIn,
        responses={200: ReviewOut, **error_responses(400, 401, 403, 404, 409)},
        examples=[
            OpenApiExample(
                "Approve with a higher risk",
                value={
                    "revision": "01980000-0000-7000-8000-000000000001",
                    "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "packages": "",
                    "rules": {"risk": "high"},
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: ApiRequest, submission_id: UUID) -> Response:
        """Approve exactly these files and packages; they are published at once, in four steps.

        409 when a newer revision came in, it was decided or withdrawn meanwhile.
        """
        body = ApproveIn(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        review = services.approve_submission(
            actor=request.actor,
            submission=submission_of(self, request, submission_id),
            revision_id=wanted["revision"],
            digest=wanted["digest"],
            packages=wanted["packages"],
            rules=wanted.get("rules", {}),
            reason=wanted.get("reason", ""),
        )
        return Response(ReviewOut(review).data)


class SubmissionRejectView(ApiView):
    @extend_schema(
        operation_id="submissions_reject",
        tags=TAG,
        request=RejectIn,
        responses={200: ReviewOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, submission_id: UUID) -> Response:
        """Send a submission back; the tenant reads the reason and can submit again."""
        body = RejectIn(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        review = services.reject_submission(
            actor=request.actor,
            submission=submission_of(self, request, submission_id),
            revision_id=wanted["revision"],
            digest=wanted["digest"],
            reason=wanted["reason"],
        )
        return Response(ReviewOut(review).data)


class SubmissionRemarkView(ApiView):
    @extend_schema(
        operation_id="submissions_remark",
        tags=TAG,
        request=RemarkIn,
        responses={201: RemarkOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, submission_id: UUID) -> Response:
        """Say something about the latest revision; the tenant reads it."""
        body = RemarkIn(data=request.data)
        body.is_valid(raise_exception=True)
        remark = services.add_remark(
            actor=request.actor,
            submission=submission_of(self, request, submission_id),
            text=body.validated_data["text"],
        )
        return Response(RemarkOut(remark).data, status=201)


class SubmissionResumeView(ApiView):
    @extend_schema(
        operation_id="submissions_resume",
        tags=TAG,
        request=None,
        responses={200: SubmissionDetailOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, submission_id: UUID) -> Response:
        """Let a publication go on from the step that failed."""
        services.resume_publication(
            actor=request.actor, submission=submission_of(self, request, submission_id)
        )
        return Response(SubmissionDetailOut(submission_of(self, request, submission_id)).data)


class VersionWithdrawView(ApiView):
    @extend_schema(
        operation_id="versions_withdraw",
        tags=["versions"],
        request=WithdrawIn,
        responses={200: RecallOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Let nobody start the files of a version any more, in any tenant that has them."""
        require(request.actor, RECALL)
        body = WithdrawIn(data=request.data)
        body.is_valid(raise_exception=True)
        recall = recall_version(
            actor=request.actor,
            tenant=self.find(tenants_visible_to(request.actor), name=name),
            skill=body.validated_data["skill"],
            number=body.validated_data["version"],
            reason=body.validated_data["reason"],
        )
        return Response(RecallOut(recall).data)
