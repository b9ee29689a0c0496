from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from execfabric.core.actor import Actor
from execfabric.core.errors import InvalidInput
from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from skills.catalogue.selectors import skills_visible_to
from skills.executions import waiting as execution_waiting
from skills.executions.api import WAIT
from skills.executions.models import StoredFile
from skills.executions.selectors import files_usable_by
from skills.executions.serializers import RejectIn

from . import downloads, services, waiting
from .models import Batch
from .selectors import batches_visible_to, rows_of
from .serializers import BatchIn, BatchOut, BatchRowOut, BatchSummaryOut, MappingIn, StartIn
from .states import BatchStatus, RowStatus

NOT_A_FILE = "is not the id of a file you uploaded. Send the file first (POST files)."


class BatchView(ApiView):
    """Base of everything about batches; 404 where the actor may not see one."""

    def batch(self, request: ApiRequest, batch_id: str) -> Batch:
        found: Batch = self.find(batches_visible_to(request.actor), pk=batch_id)
        return found

    def answer(self, request: ApiRequest, batch: Batch, status: int = 200) -> Response:
        return Response(BatchOut(batch, context={"request": request}).data, status=status)


class BatchListView(BatchView):
    @extend_schema(
        operation_id="batches_list",
        tags=["batches"],
        parameters=[
            OpenApiParameter("status", str, enum=BatchStatus.values),
            OpenApiParameter("skill", str, description="Name of a skill."),
        ],
        responses={200: BatchSummaryOut(many=True), **error_responses(400, 401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the batches you may see, newest first."""
        batches = batches_visible_to(request.actor)
        if status := request.query_params.get("status"):
            if status not in BatchStatus.values:
                known = ", ".join(BatchStatus.values)
                raise ValidationError({"status": f"Must be one of: {known}."})
            batches = batches.filter(status=status)
        if skill := request.query_params.get("skill"):
            batches = batches.filter(skill__name=skill)
        return self.page(batches, BatchSummaryOut)

    @extend_schema(
        operation_id="batches_create",
        tags=["batches"],
        request=BatchIn,
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="The same key again returns the first batch instead of a second.",
            ),
        ],
        responses={201: BatchOut, **error_responses(400, 401, 403, 404, 409)},
        examples=[
            OpenApiExample(
                "One run for each row",
                value={
                    "skill": "text-statistics",
                    "file": "01980000-0000-7000-8000-000000000002",
                    "mapping": {"text": "Body"},
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: ApiRequest) -> Response:
        """Prepare a batch: every row is read and checked, and nothing runs before …/start."""
        body = BatchIn(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        file, files = wanted.get("file"), wanted.get("files", [])
        found = _files(request.actor, [file, *files] if file else files)
        batch = services.create_batch(
            actor=request.actor,
            skill=self.find(skills_visible_to(request.actor), name=wanted["skill"]),
            source=found[0] if file else None,
            files=found[1:] if file else found,
            mapping=wanted["mapping"],
            inputs=wanted["inputs"],
            idempotency_key=request.headers.get("Idempotency-Key", ""),
        )
        return self.answer(request, batch, status=201)


class BatchDetailView(BatchView):
    @extend_schema(
        operation_id="batches_retrieve",
        tags=["batches"],
        parameters=[WAIT],
        responses={200: BatchOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, batch_id: str) -> Response:
        """Return one batch; with ``wait``, as soon as it is over or needs a person."""
        batch = self.batch(request, batch_id)
        wait_s = execution_waiting.seconds(request.query_params.get("wait", ""))
        return self.answer(request, waiting.settled(batch, actor=request.actor, wait_s=wait_s))


class BatchRowsView(BatchView):
    @extend_schema(
        operation_id="batches_rows",
        tags=["batches"],
        parameters=[OpenApiParameter("status", str, enum=RowStatus.values)],
        responses={200: BatchRowOut(many=True), **error_responses(400, 401, 404)},
    )
    def get(self, request: ApiRequest, batch_id: str) -> Response:
        """List the rows of a batch by number, with the results of those that are over."""
        rows = rows_of(self.batch(request, batch_id))
        if status := request.query_params.get("status"):
            if status not in RowStatus.values:
                raise ValidationError({"status": f"Must be one of: {', '.join(RowStatus.values)}."})
            rows = rows.filter(status=status)
        return self.page(rows, BatchRowOut, ordering="number")


class _ActView(BatchView):
    """POST that does one thing to one batch."""

    service: Callable[..., Batch]

    def act(self, request: ApiRequest, batch_id: str, **arguments: Any) -> Response:
        batch = self.batch(request, batch_id)
        changed = self.service(actor=request.actor, batch=batch, **arguments)
        return self.answer(request, changed)


def _describe(name: str, summary: str, body: Any = None) -> Callable[[Any], Any]:
    wrong = (400,) if body else ()
    return extend_schema(
        operation_id=f"batches_{name}",
        tags=["batches"],
        summary=summary,
        request=body,
        responses={200: BatchOut, **error_responses(*wrong, 401, 403, 404, 409)},
    )


class MapView(_ActView):
    service = staticmethod(services.map_columns)

    @_describe("map", "Check the rows of a draft again with other columns.", MappingIn)
    def post(self, request: ApiRequest, batch_id: str) -> Response:
        body = MappingIn(data=request.data)
        body.is_valid(raise_exception=True)
        return self.act(request, batch_id, **body.validated_data)


class StartView(_ActView):
    service = staticmethod(services.start_batch)

    @_describe("start", "Start a batch, or ask for the decision it needs first.", StartIn)
    def post(self, request: ApiRequest, batch_id: str) -> Response:
        body = StartIn(data=request.data)
        body.is_valid(raise_exception=True)
        return self.act(request, batch_id, **body.validated_data)


class ConfirmView(_ActView):
    service = staticmethod(services.confirm_batch)

    @_describe("confirm", "Confirm a whole batch that waits for it.")
    def post(self, request: ApiRequest, batch_id: str) -> Response:
        return self.act(request, batch_id)


class ApproveView(_ActView):
    service = staticmethod(services.approve_batch)

    @_describe("approve", "Approve somebody else's batch that waits for it.")
    def post(self, request: ApiRequest, batch_id: str) -> Response:
        return self.act(request, batch_id)


class RejectView(_ActView):
    service = staticmethod(services.reject_batch)

    @_describe("reject", "Reject somebody else's waiting batch, with a reason.", RejectIn)
    def post(self, request: ApiRequest, batch_id: str) -> Response:
        body = RejectIn(data=request.data)
        body.is_valid(raise_exception=True)
        return self.act(request, batch_id, reason=body.validated_data["reason"])


class PauseView(_ActView):
    service = staticmethod(services.pause_batch)

    @_describe("pause", "Hand over no further rows for now.")
    def post(self, request: ApiRequest, batch_id: str) -> Response:
        return self.act(request, batch_id)


class ResumeView(_ActView):
    service = staticmethod(services.resume_batch)

    @_describe("resume", "Let a paused batch go on.")
    def post(self, request: ApiRequest, batch_id: str) -> Response:
        return self.act(request, batch_id)


class CancelView(_ActView):
    service = staticmethod(services.cancel_batch)

    @_describe("cancel", "Cancel a batch with its queued and running rows.")
    def post(self, request: ApiRequest, batch_id: str) -> Response:
        return self.act(request, batch_id)


class RetryView(_ActView):
    service = staticmethod(services.retry_batch)

    @_describe("retry", "Run the failed rows of a finished batch once more.")
    def post(self, request: ApiRequest, batch_id: str) -> Response:
        return self.act(request, batch_id)


def _describe_file(name: str, summary: str, media_type: str) -> Callable[[Any], Any]:
    return extend_schema(
        operation_id=f"batches_{name}",
        tags=["batches"],
        summary=summary,
        responses={(200, media_type): OpenApiTypes.BINARY, **error_responses(401, 404)},
    )


class _FileView(BatchView):
    """A download. It is made by the view, so what the client accepts does not matter."""

    send: Callable[[Batch], HttpResponseBase]

    def download(self, request: ApiRequest, batch_id: str) -> Any:
        return type(self).send(self.batch(request, batch_id))


class ResultCsvView(_FileView):
    send = staticmethod(downloads.result_csv)

    @_describe_file("result_csv", "Download inputs and results of all rows as CSV.", "text/csv")
    def get(self, request: ApiRequest, batch_id: str) -> StreamingHttpResponse:
        return self.download(request, batch_id)


class ResultXlsxView(_FileView):
    send = staticmethod(downloads.result_xlsx)

    @_describe_file("result_xlsx", "The same as a workbook.", downloads.XLSX)
    def get(self, request: ApiRequest, batch_id: str) -> StreamingHttpResponse:
        return self.download(request, batch_id)


class ArchiveView(_FileView):
    send = staticmethod(downloads.artifacts_zip)

    @_describe_file("artifacts", "Download the files of all rows as one archive.", downloads.ZIP)
    def get(self, request: ApiRequest, batch_id: str) -> StreamingHttpResponse:
        return self.download(request, batch_id)


def _files(actor: Actor, ids: list[Any]) -> list[StoredFile]:
    """Return the uploads of actor in the order of ids. Raises InvalidInput for any other."""
    found = files_usable_by(actor).in_bulk(set(ids))
    missing = [one for one in ids if one not in found]
    if missing:
        raise InvalidInput("A file cannot be used.", fields={"file": f"{missing[0]} {NOT_A_FILE}"})
    return [found[one] for one in ids]
