from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_htmx.http import HttpResponseClientRefresh
from django_tables2 import RequestConfig

from execfabric.core.errors import DomainError, NotPermitted
from execfabric.core.permissions import can
from execfabric.web.forms import SchemaForm
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView
from skills.catalogue.models import Skill, SkillVersion
from skills.catalogue.selectors import skills_visible_to
from skills.executions import policy
from skills.executions.approvals.rules import rules_in_force
from skills.executions.approvals.voiding import void_because
from skills.executions.forms import RejectForm
from skills.executions.presentation import shown_inputs
from skills.executions.services import upload_file

from . import downloads, services
from .acts import acts_open_to
from .approving import approvals_standing
from .filters import TABS, BatchFilter
from .forms import ColumnsForm, FilesForm, RowsForm, StartForm, same_form, same_form_of_files
from .mapping import file_input_of
from .models import Batch, BatchKind
from .presentation import bar_of, shown_rows
from .results import safe_text
from .selectors import batches_visible_to, rows_of
from .states import WAITING, BatchStatus, RowStatus
from .tables import BatchTable

PER_PAGE = 25
ERRORS_SHOWN = 10
UNLISTED = ("version__readme", "version__input_schema", "version__output_schema", "inputs")
"""Fields the list does not show."""
POLL_S = 1
ROW_TABS: dict[str, tuple[Any, frozenset[RowStatus]]] = {
    "invalid": (gettext_lazy("With errors"), frozenset({RowStatus.INVALID})),
    "open": (gettext_lazy("Not over"), frozenset({RowStatus.WAITING, RowStatus.SENT})),
    "succeeded": (gettext_lazy("Succeeded"), frozenset({RowStatus.SUCCEEDED})),
    "failed": (
        gettext_lazy("Failed"),
        frozenset({RowStatus.FAILED, RowStatus.TIMED_OUT, RowStatus.LOST}),
    ),
    "cancelled": (gettext_lazy("Cancelled"), frozenset({RowStatus.CANCELLED})),
}
"""The tabs above the rows: key, (label, states)."""


class BatchList(ConsoleView):
    template_name = "batches/batch_list.html"
    partial_name = "rows"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        visible = batches_visible_to(request.actor)
        found = BatchFilter(request.GET, queryset=visible, actor=request.actor)
        table = BatchTable(found.qs.defer(*UNLISTED))
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        return self.render(
            filter=found,
            table=table,
            tabs=[(key, label) for key, (label, _states) in TABS.items()],
            waiting=visible.filter(status__in=WAITING).count(),
            goes_on=any(row.record.status == BatchStatus.RUNNING for row in table.paginated_rows),
            sees_all=can(request.actor, "batches.batch.read_all"),
        )


class SkillPage(ConsoleView):
    """Base of what begins a batch of one skill; 404 when the actor may not see the skill."""

    def skill(self, name: str) -> tuple[Skill, SkillVersion]:
        skill = get_object_or_404(skills_visible_to(self.request.actor), name=name)
        if not can(self.request.actor, "batches.batch.create", skill):
            raise NotPermitted(_("Your account may see this skill, but not run it."))
        if skill.version is None:
            raise ValueError(f"Skill {skill} has no bound version.")
        policy.check_door(skill.version, self.request.actor.door)
        return skill, skill.version


class BatchNew(SkillPage):
    """Upload rows or files; the batch is a draft then."""

    template_name = "batches/batch_new.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill, version = self.skill(name)
        return self.render(**self._context(skill, version))

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill, version = self.skill(name)
        if "files" in request.POST.getlist("from"):
            return self._from_files(skill, version)
        form = RowsForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._again(skill, version, rows_form=form)
        received = form.cleaned_data["rows"]
        try:
            source = upload_file(actor=request.actor, name=received.name, content=received)
            batch = services.create_batch(actor=request.actor, skill=skill, source=source)
        except DomainError as error:
            form.add_error("rows", list(error.fields.values()) or [error.message])
            return self._again(skill, version, rows_form=form)
        return redirect("batches:batch-detail", batch.pk)

    def _from_files(self, skill: Skill, version: SkillVersion) -> HttpResponse:
        request = self.request
        form = FilesForm(request.POST, request.FILES)
        same = same_form_of_files(version, data=request.POST)
        if not form.is_valid() or (same is not None and not same.is_valid()):
            return self._again(skill, version, files_form=form, same=same)
        try:
            files = [
                upload_file(actor=request.actor, name=one.name, content=one)
                for one in form.cleaned_data["files"]
            ]
            batch = services.create_batch(
                actor=request.actor,
                skill=skill,
                files=files,
                inputs=same.inputs() if same else {},
            )
        except DomainError as error:
            form.add_error("files", list(error.fields.values()) or [error.message])
            return self._again(skill, version, files_form=form, same=same)
        return redirect("batches:batch-detail", batch.pk)

    def _again(self, skill: Skill, version: SkillVersion, **forms: Any) -> HttpResponse:
        context = {**self._context(skill, version), **forms}
        return self.render(status=422, **context)

    def _context(self, skill: Skill, version: SkillVersion) -> dict[str, Any]:
        takes_files = file_input_of(version) is not None
        return {
            "skill": skill,
            "version": version,
            "rows_form": RowsForm(),
            "files_form": FilesForm() if takes_files else None,
            "same": same_form_of_files(version) if takes_files else None,
            "required": set(version.input_schema.get("required") or ()),
            "inputs": version.input_fields,
        }


class BatchTemplate(SkillPage):
    """An empty table with the right columns, to be filled in."""

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill, version = self.skill(name)
        text = io.StringIO()
        csv.writer(text).writerow([safe_text(name) for name in version.input_fields])
        response = HttpResponse(text.getvalue(), content_type=downloads.CSV)
        response["Content-Disposition"] = f'attachment; filename="{skill.name}.csv"'
        return response


class BatchPage(ConsoleView):
    """Base of everything about one batch; 404 when the actor may not see it."""

    template_name = "batches/batch_detail.html"

    def batch(self, batch_id: UUID) -> Batch:
        return get_object_or_404(batches_visible_to(self.request.actor), pk=batch_id)

    def page(self, batch: Batch, *, status: int = 200, **forms: Any) -> HttpResponse:
        acts = acts_open_to(self.request.actor, batch)
        if "map" in acts:
            forms = {"columns_form": ColumnsForm(batch), "same": same_form(batch), **forms}
        wrong = rows_of(batch).filter(status=RowStatus.INVALID)[:ERRORS_SHOWN]
        used = set(batch.mapping.values())
        demand = policy.decide(batch.version, rules_in_force()).demand
        approvals = batch.approvals.filter(asked_at=batch.asked_at)
        good = approvals_standing(batch, now=timezone.now())
        return self.render(
            status=status,
            acts=acts,
            wrong=shown_rows(batch, wrong) if batch.invalid_rows else [],
            unused=[column for column in batch.columns if column not in used],
            confirms=demand.confirm,
            approves=bool(demand.approvals),
            needed=demand.approvals,
            approvals=approvals.select_related("account", "authority"),
            given=len(good),
            counts_no_more=set(approvals.values_list("account_id", flat=True)) - good.keys(),
            void=void_because(batch) if batch.status in WAITING else "",
            is_own=batch.requested_by_id == self.request.actor.user_id,
            may_audit=can(self.request.actor, "core.audit.read"),
            has_rows_file=batch.kind == BatchKind.ROWS,
            same_inputs=shown_inputs(batch.version, batch.inputs),
            **self.live_context(batch),
            **forms,
        )

    def live_context(self, batch: Batch) -> dict[str, Any]:
        """Return what the part of the page needs that changes while the batch runs."""
        tab = self.request.GET.get("rows", "")
        rows = rows_of(batch)
        if tab in ROW_TABS:
            rows = rows.filter(status__in=ROW_TABS[tab][1])
        page = Paginator(rows, PER_PAGE).get_page(self.request.GET.get("page"))
        counts = {
            "invalid": batch.invalid_rows,
            "open": batch.waiting_rows + batch.sent_rows,
            "succeeded": batch.succeeded_rows,
            "failed": batch.failed_rows,
            "cancelled": batch.cancelled_rows,
        }
        goes_on = batch.status in {BatchStatus.RUNNING, BatchStatus.CANCELLING} or (
            batch.status == BatchStatus.PAUSED and batch.sent_rows > 0
        )
        return {
            "batch": batch,
            "version": batch.version,
            "state": BatchStatus(batch.status),
            "bar": bar_of(batch),
            "rows": shown_rows(batch, page.object_list),
            "page": page,
            "tab": tab if tab in ROW_TABS else "",
            "tabs": [(key, ROW_TABS[key][0], count) for key, count in counts.items() if count],
            "poll_s": POLL_S if goes_on else 0,
            "base_url": reverse("batches:batch-detail", args=[batch.pk]),
        }


class BatchDetail(BatchPage):
    def get(self, request: ConsoleRequest, batch_id: UUID) -> HttpResponse:
        return self.page(self.batch(batch_id))


class BatchLive(BatchPage):
    """Progress and rows since the page last looked; the whole page once the state changed."""

    template_name = "batches/batch_detail.html#live"

    def get(self, request: ConsoleRequest, batch_id: UUID) -> HttpResponseBase:
        batch = self.batch(batch_id)
        if request.GET.get("seen", "") != batch.status:
            return HttpResponseClientRefresh()
        return self.render(**self.live_context(batch))


class ActView(BatchPage):
    """POST that does one thing to one batch and goes back to its page."""

    service: Callable[..., Batch]
    done: ClassVar[Any] = ""

    def post(self, request: ConsoleRequest, batch_id: UUID) -> HttpResponse:
        return self.act(batch_id)

    def act(self, batch_id: UUID, **arguments: Any) -> HttpResponse:
        changed = self.service(actor=self.request.actor, batch=self.batch(batch_id), **arguments)
        if self.done:
            messages.success(self.request, str(self.done))
        if not batches_visible_to(self.request.actor).filter(pk=changed.pk).exists():
            return redirect("batches:batch-list")
        return redirect("batches:batch-detail", changed.pk)


class Columns(ActView):
    service = staticmethod(services.map_columns)
    done = gettext_lazy("The rows were checked again.")

    def post(self, request: ConsoleRequest, batch_id: UUID) -> HttpResponse:
        batch = self.batch(batch_id)
        form = ColumnsForm(batch, request.POST)
        same = same_form(batch, data=request.POST)
        if not form.is_valid() or (same is not None and not same.is_valid()):
            return self.page(batch, status=422, columns_form=form, same=same)
        return self.act(
            batch_id, mapping=form.cleaned_data, inputs=_inputs(batch, same, form.cleaned_data)
        )


class Start(ActView):
    service = staticmethod(services.start_batch)

    def post(self, request: ConsoleRequest, batch_id: UUID) -> HttpResponse:
        form = StartForm(request.POST)
        form.is_valid()
        return self.act(batch_id, skip_invalid=form.cleaned_data["skip_invalid"])


class Confirm(ActView):
    service = staticmethod(services.confirm_batch)


class Approve(ActView):
    service = staticmethod(services.approve_batch)
    done = gettext_lazy("Approved. It runs now.")


class Reject(ActView):
    service = staticmethod(services.reject_batch)
    done = gettext_lazy("Rejected. Who asked for it sees your reason.")

    def post(self, request: ConsoleRequest, batch_id: UUID) -> HttpResponse:
        self.batch(batch_id)
        form = RejectForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("Give a reason of at most 2000 characters."))
            return redirect("batches:batch-detail", batch_id)
        return self.act(batch_id, reason=form.cleaned_data["reason"])


class Pause(ActView):
    service = staticmethod(services.pause_batch)


class Resume(ActView):
    service = staticmethod(services.resume_batch)


class Cancel(ActView):
    service = staticmethod(services.cancel_batch)


class Retry(ActView):
    service = staticmethod(services.retry_batch)


class FileView(BatchPage):
    send: Callable[[Batch], HttpResponseBase]

    def get(self, request: ConsoleRequest, batch_id: UUID) -> HttpResponseBase:
        return type(self).send(self.batch(batch_id))


class ResultCsv(FileView):
    send = staticmethod(downloads.result_csv)


class ResultXlsx(FileView):
    send = staticmethod(downloads.result_xlsx)


class Archive(FileView):
    send = staticmethod(downloads.artifacts_zip)


def _inputs(batch: Batch, same: SchemaForm | None, mapping: dict[str, str]) -> dict[str, Any]:
    """Return what is the same for all rows now: what was typed, else as before."""
    typed = same.inputs() if same else {}
    shown = set(same.fields) if same else set()
    kept = {name: value for name, value in batch.inputs.items() if name not in shown}
    return {name: value for name, value in {**kept, **typed}.items() if not mapping.get(name)}
