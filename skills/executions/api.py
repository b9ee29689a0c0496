from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from execfabric.core.actor import Actor
from execfabric.core.errors import Postponed
from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from skills.catalogue.models import Skill
from skills.catalogue.selectors import (
    forget_skill,
    remember_skill,
    skill_remembered,
    skill_to_run,
)
from tenants.accounts.remembered import LoginCheckedByTheAct

from . import services, waiting
from .models import Execution
from .selectors import executions_visible_to
from .serializers import (
    ExecutionIn,
    ExecutionOut,
    LogOut,
    RejectIn,
    plainly_valid,
)
from .states import Status

_REQUESTER: Any = Execution._meta.get_field("requested_by")
WAIT = OpenApiParameter(
    "wait",
    float,
    description="Wait up to this many seconds (30 at most) for something new. Answered at once "
    "where too many wait already.",
)


def _wait_s(request: ApiRequest) -> float:
    return waiting.seconds(request.query_params.get("wait", ""))


def _skill_of(request: ApiRequest, name: str) -> Skill:
    skill = skill_to_run(request.actor, name)
    if skill is None:
        raise Http404
    return skill


def _remember(actor: Actor, skill: Skill) -> None:
    # A sample among its files is copied before the request is stored, which must not be done twice.
    if not (skill.is_from_memory or skill.version is None or skill.version.file_inputs):
        remember_skill(actor, skill)


class ExecutionListView(LoginCheckedByTheAct):
    @extend_schema(
        operation_id="executions_list",
        tags=["executions"],
        parameters=[
            OpenApiParameter("status", str, enum=Status.values),
            OpenApiParameter("skill", str, description="Name of a skill."),
        ],
        responses={200: ExecutionOut(many=True), **error_responses(400, 401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the executions you may see, newest first."""
        executions = executions_visible_to(request.actor)
        if status := request.query_params.get("status"):
            if status not in Status.values:
                raise ValidationError({"status": f"Must be one of: {', '.join(Status.values)}."})
            executions = executions.filter(status=status)
        if skill := request.query_params.get("skill"):
            executions = executions.filter(skill__name=skill)
        return self.page(executions, ExecutionOut)

    @extend_schema(
        operation_id="executions_create",
        tags=["executions"],
        request=ExecutionIn,
        parameters=[
            WAIT,
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="The same key again returns the first execution instead of a second.",
            ),
        ],
        responses={201: ExecutionOut, **error_responses(400, 401, 403, 404, 409)},
        examples=[
            OpenApiExample(
                "Count words",
                value={"skill": "text-statistics", "inputs": {"text": "To be or not to be"}},
                request_only=True,
            )
        ],
    )
    def post(self, request: ApiRequest) -> Response:
        """Run a skill. It is queued, or waits for a confirmation or approval.

        With ``wait`` the answer is the execution as soon as it is over or needs a person.
        """
        wanted = plainly_valid(request.data) or self.body(ExecutionIn)
        # Who ran it before needs no look-up: what stores the request checks that all is as it was.
        skill = skill_remembered(request.actor, wanted["skill"])
        if skill is None:
            self.look_up_login()
            skill = _skill_of(request, wanted["skill"])
        answer = ExecutionOut(context={"request": request})
        with waiting.awaited(request.actor, _wait_s(request)) as awaited:
            ask = functools.partial(
                services.request_execution,
                inputs=wanted["inputs"],
                version_number=wanted.get("version"),
                idempotency_key=request.META.get("HTTP_IDEMPOTENCY_KEY", ""),
                reason=wanted["reason"],
                execution_id=awaited.id,
            )
            try:
                execution = ask(actor=request.actor, skill=skill)
            except Postponed:  # Outdated, or refused to an actor who was not looked up.
                forget_skill(request.actor, skill.name)
                self.look_up_login()
                skill = _skill_of(request, wanted["skill"])
                execution = ask(actor=request.actor, skill=skill)
            self.note_login(execution.found_as_seen)
            _remember(request.actor, skill)
            # Known; asking again would cost a query.
            _REQUESTER.set_cached_value(execution, request.user)
            execution = awaited.settled(execution)
        return Response(answer.to_representation(execution), status=201)


class ExecutionDetailView(ApiView):
    @extend_schema(
        operation_id="executions_retrieve",
        tags=["executions"],
        parameters=[WAIT],
        responses={200: ExecutionOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, execution_id: str) -> Response:
        """Return one execution; with ``wait``, as soon as it is over or needs a person."""
        execution = self.find(executions_visible_to(request.actor), pk=execution_id)
        seen = waiting.settled(execution, actor=request.actor, wait_s=_wait_s(request))
        return Response(ExecutionOut(seen, context={"request": request}).data)


class _ActView(ApiView):
    """POST that does one thing to one execution."""

    service: Callable[..., Execution]

    def act(self, request: ApiRequest, execution_id: str, **arguments: Any) -> Response:
        execution = self.find(executions_visible_to(request.actor), pk=execution_id)
        changed = self.service(actor=request.actor, execution=execution, **arguments)
        return Response(ExecutionOut(changed, context={"request": request}).data)


def _describe(name: str, summary: str) -> Callable[[Any], Any]:
    return extend_schema(
        operation_id=f"executions_{name}",
        tags=["executions"],
        summary=summary,
        request=None,
        responses={200: ExecutionOut, **error_responses(401, 403, 404, 409)},
    )


class ConfirmView(_ActView):
    service = staticmethod(services.confirm_execution)

    @_describe("confirm", "Confirm an execution that waits for it.")
    def post(self, request: ApiRequest, execution_id: str) -> Response:
        return self.act(request, execution_id)


class ApproveView(_ActView):
    service = staticmethod(services.approve_execution)

    @_describe("approve", "Approve somebody else's execution; it may need others, too.")
    def post(self, request: ApiRequest, execution_id: str) -> Response:
        return self.act(request, execution_id)


class CancelView(_ActView):
    service = staticmethod(services.cancel_execution)

    @_describe("cancel", "Cancel an execution that is not over.")
    def post(self, request: ApiRequest, execution_id: str) -> Response:
        return self.act(request, execution_id)


class RejectView(_ActView):
    service = staticmethod(services.reject_execution)

    @extend_schema(
        operation_id="executions_reject",
        tags=["executions"],
        request=RejectIn,
        responses={200: ExecutionOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, execution_id: str) -> Response:
        """Reject somebody else's waiting execution, with a reason."""
        body = RejectIn(data=request.data)
        body.is_valid(raise_exception=True)
        return self.act(request, execution_id, reason=body.validated_data["reason"])


class RetryView(_ActView):
    service = staticmethod(services.retry_execution)

    @extend_schema(
        operation_id="executions_retry",
        tags=["executions"],
        request=None,
        responses={201: ExecutionOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, execution_id: str) -> Response:
        """Ask again with the same inputs; returns the new execution."""
        response = self.act(request, execution_id)
        response.status_code = 201
        return response


class LogView(ApiView):
    @extend_schema(
        operation_id="executions_log",
        tags=["executions"],
        parameters=[OpenApiParameter("after", int, description="Cursor of the last answer."), WAIT],
        responses={200: LogOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, execution_id: str) -> Response:
        """Return the log after a cursor; with ``wait``, as soon as there is more."""
        execution = self.find(executions_visible_to(request.actor), pk=execution_id)
        cursor = waiting.log_cursor(request.query_params.get("after", ""))
        chunks, final = waiting.new_log(
            execution, cursor, actor=request.actor, wait_s=_wait_s(request)
        )
        cursor = chunks[-1].seq if chunks else cursor
        pieces = [
            {"seq": chunk.seq, "stream": stream, "text": text, "at": chunk.at}
            for chunk in chunks
            for stream, text in chunk.pieces
        ]
        return Response(LogOut({"chunks": pieces, "cursor": cursor, "final": final}).data)
