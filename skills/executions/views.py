from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_tables2 import RequestConfig

from execfabric.core.permissions import can
from execfabric.core.storage import open_file
from execfabric.web.downloads import send_file
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView

from . import presentation, previews, services, waiting
from .acts import acts_open_to
from .approvals.shown import consents_of, shown_to_decide
from .approvals.standing import demand_met
from .filters import TABS, ExecutionFilter
from .forms import RejectForm
from .inputs import files_of
from .models import Artifact, Execution, StoredFile
from .selectors import artifacts_visible_to, executions_visible_to, log_after
from .states import WAITING, Status
from .tables import ExecutionTable

PER_PAGE = 25
UNLISTED = (
    *("inputs", "output", "error"),
    *("version__readme", "version__input_schema", "version__output_schema"),
)
"""Fields the list does not show; an output alone can have a megabyte."""
CHUNKS_AT_ONCE = 100
"""Pieces of log per answer, a few KiB each."""
MOST_ARTIFACTS = 200
POLL_S = 1
POLL_WAITING_S = 4
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
        )


class ExecutionView(ConsoleView):
    """Base of everything about one execution; 404 when the actor may not see it."""

    def execution(self, execution_id: UUID) -> Execution:
        return get_object_or_404(executions_visible_to(self.request.actor), pk=execution_id)

    def state_context(self, execution: Execution) -> dict[str, Any]:
        """Return what the parts of the page that change with the state need."""
        over = execution.is_final
        parts = presentation.result_parts(
            execution.output, execution.version.output_schema, execution.summary
        )
        raw = json.dumps(execution.output, ensure_ascii=False, indent=2) if parts else ""
        artifacts = list(execution.artifacts.all()[:MOST_ARTIFACTS]) if over else []
        return {
            "execution": execution,
            "version": execution.version,
            "state": Status(execution.status),
            "acts": acts_open_to(self.request.actor, execution),
            "took_s": presentation.took_s(execution),
            "parts": parts,
            "raw": raw if len(raw) <= presentation.LONGEST_RAW else "",
            "artifacts": [(artifact, previews.kind_of(artifact)) for artifact in artifacts],
            "inputs": presentation.shown_inputs(execution.version, execution.inputs),
            "may_audit": can(self.request.actor, "core.audit.read"),
            "is_own": execution.requested_by_id == self.request.actor.user_id,
            "shown": shown_to_decide(execution) if execution.awaits_a_person else None,
            "consents": [] if execution.awaits_a_person else consents_of(execution),
        }

    def live_context(self, execution: Execution, after: int) -> dict[str, Any]:
        """Return the log after a cursor and how to go on from there."""
        chunks = log_after(execution, after, limit=CHUNKS_AT_ONCE)
        over = execution.is_final
        return {
            "chunks": chunks,
            "cursor": chunks[-1].seq if chunks else after,
            "seen": state_mark(execution),
            "poll_s": 0 if over else POLL_WAITING_S if execution.awaits_a_person else POLL_S,
            "has_more": over and len(chunks) == CHUNKS_AT_ONCE,
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
        # The state first: what is final when we look has its whole log stored.
        execution = self.execution(execution_id)
        cursor = waiting.log_cursor(request.GET.get("after", ""))
        changed = request.GET.get("seen", "") != state_mark(execution)
        context: dict[str, Any] = {
            "execution": execution,
            "took_s": presentation.took_s(execution),
            "changed": changed,
            "is_fragment": True,
            **self.live_context(execution, cursor),
        }
        if changed:
            context.update(self.state_context(execution))
        return self.render(**context)


class ExecutionLog(ExecutionView):
    """The whole log as one text file."""

    def get(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponseBase:
        execution = self.execution(execution_id)
        text = "".join(execution.log_chunks.values_list("text", flat=True))
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


class ArtifactView(ConsoleView):
    def artifact(self, artifact_id: UUID) -> Artifact:
        return get_object_or_404(artifacts_visible_to(self.request.actor), pk=artifact_id)


class ArtifactDownload(ArtifactView):
    def get(self, request: ConsoleRequest, artifact_id: UUID) -> HttpResponseBase:
        return download(self.artifact(artifact_id))


class ArtifactPreview(ArtifactView):
    """The preview as a fragment of the execution's page."""

    template_name = "executions/file_preview.html"

    def get(self, request: ConsoleRequest, artifact_id: UUID) -> HttpResponse:
        artifact = self.artifact(artifact_id)
        return self.render(
            file=artifact,
            preview=previews.preview_of(artifact),
            image_url=reverse("executions:artifact-image", args=[artifact.pk]),
        )


class ArtifactImage(ArtifactView):
    def get(self, request: ConsoleRequest, artifact_id: UUID) -> HttpResponseBase:
        return image(self.artifact(artifact_id))


class InputView(ExecutionView):
    """Base of an input file's pages. Who may read the execution may read what it was given."""

    def file(self, execution_id: UUID, file_id: UUID) -> StoredFile:
        """Return one of the execution's input files; any other file is 404."""
        execution = self.execution(execution_id)
        for files in files_of(execution.version, execution.inputs).values():
            for file in files:
                if file.pk == file_id:
                    return file
        raise Http404


class InputDownload(InputView):
    def get(self, request: ConsoleRequest, execution_id: UUID, file_id: UUID) -> HttpResponseBase:
        return download(self.file(execution_id, file_id))


class InputPreview(InputView):
    """The preview as a fragment of the execution's page."""

    template_name = "executions/file_preview.html"

    def get(self, request: ConsoleRequest, execution_id: UUID, file_id: UUID) -> HttpResponse:
        file = self.file(execution_id, file_id)
        return self.render(
            file=file,
            preview=previews.preview_of(file),
            image_url=reverse("executions:input-image", args=[execution_id, file_id]),
        )


class InputImage(InputView):
    def get(self, request: ConsoleRequest, execution_id: UUID, file_id: UUID) -> HttpResponseBase:
        return image(self.file(execution_id, file_id))


def download(file: Artifact | StoredFile) -> HttpResponseBase:
    return send_file(open_file(file.stored_as), name=file.name, size_bytes=file.size_bytes)


def image(file: Artifact | StoredFile) -> HttpResponseBase:
    """Answer with the image itself; 404 for anything but an image browsers show safely."""
    if previews.kind_of(file) != "image":
        raise Http404
    response = send_file(
        open_file(file.stored_as),
        name=file.name,
        size_bytes=file.size_bytes,
        shown_as=previews.media_type_of(file),
    )
    response["Cache-Control"] = "private, max-age=3600"
    return response


def state_mark(execution: Execution) -> str:
    """Return a word that changes whenever more than log and progress did."""
    approvals = demand_met(execution).approvals if execution.awaits_a_person else ""
    return f"{execution.status}{approvals}{'-stopping' if execution.cancel_requested_at else ''}"
