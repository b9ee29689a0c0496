from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_tables2 import RequestConfig

from execfabric.core.errors import Gone
from execfabric.core.permissions import can
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from . import hooks, presentation, previews, services, waiting
from .acts import acts_open_to
from .approvals.shown import consents_of, shown_to_decide
from .approvals.voiding import void_because
from .filters import TABS, ExecutionFilter
from .forms import RejectForm
from .models import Execution
from .selectors import executions_visible_to, files_kept_until, log_end
from .states import WAITING, Status
from .tables import ExecutionTable

PER_PAGE = 25
UNLISTED = (
    *("inputs", "output", "error"),
    *("version__readme", "version__input_schema", "version__output_schema"),
)
"""Fields the list does not show; an output alone can have a megabyte."""
LOG_CHARS = 256 * 1024
"""Of the log's end, on the page; the whole is for download. app.js keeps as much."""
ARTIFACTS_PER_PAGE = 50
WAIT_S = 2
"""How long the page asks to wait for news. It shows the time that passed as often."""
PAUSE_AFTER_NEWS_MS = 200
PAUSE_UNSEATED_MS = 1000
"""Between looks where too many wait already."""
PAUSE_FOR_PERSON_MS = 4000
"""Between looks at an execution that waits for a person."""


class ExecutionList(ConsoleView):
    template_name = "executions/execution_list.html"
    partial_name = "rows"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        visible = executions_visible_to(request.actor)
        found = ExecutionFilter(request.GET, queryset=visible, actor=request.actor)
        sees_all = can(request.actor, "executions.execution.read_all")
        table = ExecutionTable(found.qs.defer(*UNLISTED))
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        return self.render(
            filter=found,
            table=table,
            tabs=[(key, label) for key, (label, _states) in TABS.items()],
            waiting=visible.filter(status__in=WAITING).count(),
            goes_on=any(not row.record.is_final for row in table.paginated_rows),
            sees_all=sees_all,
            may_set_retention=can(request.actor, "executions.retention.set"),
        )


class ExecutionView(ConsoleView):
    """Base of everything about one execution; 404 when the actor may not see it."""

    def execution(self, execution_id: UUID) -> Execution:
        return get_object_or_404(executions_visible_to(self.request.actor), pk=execution_id)

    def state_context(self, execution: Execution) -> dict[str, Any]:
        """Return what the parts of the page that change with the state need."""
        parts = presentation.result_parts(
            execution.output, execution.version.output_schema, execution.summary
        )
        raw = json.dumps(execution.output, ensure_ascii=False, indent=2) if parts else ""
        files: dict[str, Any] = {"artifacts": [], "kept_until": None}
        if execution.is_final:
            files = files_context(self.request, execution)
        return {
            "execution": execution,
            "version": execution.version,
            "state": Status(execution.status),
            "acts": acts_open_to(self.request.actor, execution),
            "took_s": presentation.took_s(execution),
            "parts": parts,
            "raw": raw if len(raw) <= presentation.LONGEST_RAW else "",
            **files,
            "inputs": presentation.shown_inputs(execution.version, execution.inputs),
            "may_audit": can(self.request.actor, "core.audit.read"),
            "origin": hooks.origin_of(execution),
            "is_own": execution.requested_by_id == self.request.actor.user_id,
            "void": void_because(execution) if execution.awaits_a_person else "",
            "shown": shown_to_decide(execution) if execution.awaits_a_person else None,
            "consents": [] if execution.awaits_a_person else consents_of(execution),
        }

    def live_context(self, execution: Execution, after: int, pause_ms: int = 0) -> dict[str, Any]:
        """Return the log after a cursor and how to go on from there, pause_ms later."""
        chunks, left_out = log_end(execution, after, chars=LOG_CHARS)
        for_person = execution.awaits_a_person
        return {
            "log_lines": presentation.log_lines(chunks, left_out),
            "cursor": chunks[-1].seq if chunks else after,
            "seen": waiting.state_mark(execution),
            "told": waiting.progress_mark(execution),
            "goes_on": not execution.is_final,
            "wait_s": 0 if for_person else WAIT_S,
            "pause_ms": PAUSE_FOR_PERSON_MS if for_person else pause_ms,
        }


class ExecutionDetail(ExecutionView):
    template_name = "executions/execution_detail.html"

    def get(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponse:
        execution = self.execution(execution_id)
        return self.render(
            **self.state_context(execution),
            **self.live_context(execution, 0),
        )


class ExecutionLive(ExecutionView):
    """What is new since the page last looked: log after a cursor, and the state if it changed."""

    template_name = "executions/execution_live.html"

    def get(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponse:
        execution = self.execution(execution_id)
        cursor = waiting.log_cursor(request.GET.get("after", ""))
        seen = request.GET.get("seen", "")
        wait_s = min(waiting.seconds(request.GET.get("wait", "")), WAIT_S)
        asked_at = time.monotonic()
        # The state first: what is final when we look has its whole log stored.
        news = waiting.has_news(
            execution,
            cursor=cursor,
            seen=seen,
            told=request.GET.get("told", ""),
            actor=request.actor,
            wait_s=wait_s,
        )
        waited = time.monotonic() - asked_at > wait_s / 2
        pause_ms = PAUSE_AFTER_NEWS_MS if news else 0 if waited else PAUSE_UNSEATED_MS
        changed = seen != waiting.state_mark(execution)
        if changed:
            execution = self.execution(execution_id)
        context: dict[str, Any] = {
            "execution": execution,
            "took_s": presentation.took_s(execution),
            "changed": changed,
            "is_fragment": True,
            **self.live_context(execution, cursor, pause_ms),
        }
        if changed:
            context.update(self.state_context(execution))
        return self.render(**context)


class ExecutionLog(ExecutionView):
    """The whole log as one text file."""

    def get(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponseBase:
        execution = self.execution(execution_id)
        if execution.files_removed_at is not None:
            raise Gone(_("The log was removed by retention."))
        text = "".join(chunk.plain for chunk in execution.log_chunks.only("stream", "text"))
        response = HttpResponse(text, content_type="text/plain; charset=utf-8")
        name = f"{execution.skill.name}-{execution.pk}.log"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


class ExecutionResult(ExecutionView):
    """The result as one JSON file."""

    def get(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponse:
        execution = self.execution(execution_id)
        if execution.output is None:
            raise Http404
        text = json.dumps(execution.output, ensure_ascii=False, indent=2)
        response = HttpResponse(text, content_type="application/json")
        name = f"{execution.skill.name}-{execution.pk}.json"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


class ActView(ExecutionView):
    """POST that does one thing to one execution and goes back to its page."""

    service: Callable[..., Execution]
    done: ClassVar[Any] = ""

    def post(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponse:
        return self.act(execution_id)

    def said(self, changed: Execution) -> str:
        """Return what is said once it is done; nothing where the page says it."""
        return str(self.done)

    def act(self, execution_id: UUID, **arguments: Any) -> HttpResponse:
        execution = self.execution(execution_id)
        changed = self.service(actor=self.request.actor, execution=execution, **arguments)
        if said := self.said(changed):
            messages.success(self.request, said)
        still_visible = executions_visible_to(self.request.actor).filter(pk=changed.pk).exists()
        if not still_visible:
            return redirect("executions:execution-list")
        return redirect("executions:execution-detail", changed.pk)


class Confirm(ActView):
    service = staticmethod(services.confirm_execution)


class Approve(ActView):
    service = staticmethod(services.approve_execution)

    def said(self, changed: Execution) -> str:
        if changed.awaits_a_person:
            return _("Approved. It waits for the approval of others, too.")
        return _("Approved. It runs now.")


class Cancel(ActView):
    service = staticmethod(services.cancel_execution)


class Retry(ActView):
    service = staticmethod(services.retry_execution)
    done = gettext_lazy("Asked for again with the same inputs.")


class Reject(ActView):
    service = staticmethod(services.reject_execution)
    done = gettext_lazy("Rejected. Who asked for it sees your reason.")

    def post(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponse:
        self.execution(execution_id)
        form = RejectForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("Give a reason of at most 2000 characters."))
            return redirect("executions:execution-detail", execution_id)
        return self.act(execution_id, reason=form.cleaned_data["reason"])


def files_context(request: ConsoleRequest, execution: Execution) -> dict[str, Any]:
    """Return one page of the files an execution left, and what is said about all of them."""
    pages = Paginator(execution.artifacts.all(), ARTIFACTS_PER_PAGE)
    page = pages.get_page(request.GET.get("files"))
    return {
        "artifacts": [(artifact, previews.kind_of(artifact)) for artifact in page],
        "artifact_page": page,
        "kept_until": files_kept_until(execution),
    }
