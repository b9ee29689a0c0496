from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from execfabric.core.errors import DomainError
from execfabric.core.permissions import can
from execfabric.core.selectors import audit_events_visible_to
from execfabric.web.downloads import send_archive
from execfabric.web.requests import ConsoleRequest

from ..forms import ReasonForm
from ..views import PlatformView
from . import fetching, selectors, services
from .forms import ScheduleForm
from .models import TenantDeletion, TenantExport
from .states import DeletionStage, DeletionStatus, ExportStage, ExportStatus

SHOWN = 50


class WorkView(PlatformView):
    permission = selectors.READ
    menu_place = "governance:tenant-list"

    def export(self, export_id: UUID) -> TenantExport:
        rows = selectors.exports_visible_to(self.request.actor)
        return get_object_or_404(rows, pk=export_id)

    def deletion(self, deletion_id: UUID) -> TenantDeletion:
        rows = selectors.deletions_visible_to(self.request.actor)
        return get_object_or_404(rows, pk=deletion_id)

    def may(self, *codes: str) -> dict[str, bool]:
        return {
            code.rpartition(".")[2]: can(self.request.actor, f"tenant_data.{code}")
            for code in codes
        }


class WorkList(WorkView):
    """All exports and deletions, also of tenants that are gone."""

    template_name = "tenant_data/work_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(
            deletions=selectors.deletions_visible_to(request.actor)[:SHOWN],
            exports=selectors.exports_visible_to(request.actor)[:SHOWN],
        )


class ExportRequest(WorkView):
    permission = "tenant_data.export.request"

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        tenant = self.tenant(name)
        form = ReasonForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("Give a reason of at most 2000 characters."))
            return redirect("governance:tenant-detail", name)
        export = services.request_export(
            actor=request.actor,
            tenant=tenant,
            reason=form.cleaned_data["reason"],
            requested_at=timezone.now(),
        )
        return redirect("governance:export-detail", export.pk)


class ExportDetail(WorkView):
    """How far an export is; the part in the middle looks again by itself."""

    template_name = "tenant_data/export_detail.html"
    partial_name = "progress"

    def get(self, request: ConsoleRequest, export_id: UUID) -> HttpResponse:
        export = self.export(export_id)
        return self.render(
            export=export,
            state=ExportStatus(export.status),
            stage=ExportStage(export.stage).label,
            events=self.latest(_about(self, export)),
            may=self.may("export.retry", "export.remove", "export.download"),
            kept_days=settings.EXPORTS_KEPT_DAYS,
        )


class ExportRetry(WorkView):
    permission = "tenant_data.export.retry"

    def post(self, request: ConsoleRequest, export_id: UUID) -> HttpResponse:
        services.retry_export(actor=request.actor, export=self.export(export_id), at=timezone.now())
        return redirect("governance:export-detail", export_id)


class ExportRemove(WorkView):
    permission = "tenant_data.export.remove"

    def post(self, request: ConsoleRequest, export_id: UUID) -> HttpResponse:
        services.remove_export(
            actor=request.actor, export=self.export(export_id), removed_at=timezone.now()
        )
        messages.success(request, _("Removed."))
        return redirect("governance:export-detail", export_id)


class ExportDownload(WorkView):
    permission = "tenant_data.export.download"

    def post(self, request: ConsoleRequest, export_id: UUID) -> HttpResponseBase:
        """Answer a POST, since it is an act: everybody's data leaves the platform."""
        export = services.fetch_export(actor=request.actor, export=self.export(export_id))
        return send_archive(
            fetching.entries_of(export),
            name=fetching.name_of(export),
            made_at=export.finished_at or timezone.now(),
        )


class DeletionSchedule(WorkView):
    template_name = "tenant_data/deletion_form.html"
    permission = "tenant_data.deletion.schedule"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        return self.render(form=ScheduleForm(), **self._facts(name))

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        form = ScheduleForm(request.POST)
        facts = self._facts(name)
        if not form.is_valid():
            return self.invalid(form, **facts)
        try:
            deletion = services.schedule_deletion(
                actor=request.actor,
                tenant=facts["tenant"],
                confirmation=form.cleaned_data["confirmation"],
                reason=form.cleaned_data["reason"],
                requested_at=timezone.now(),
            )
        except DomainError as error:
            return self.invalid(form, error=error, **facts)
        messages.success(request, _("Scheduled. Until then you can cancel it."))
        return redirect("governance:deletion-detail", deletion.pk)

    def _facts(self, name: str) -> dict[str, Any]:
        tenant = self.tenant(name)
        exports = selectors.exports_visible_to(self.request.actor)
        return {
            "tenant": tenant,
            "grace_days": settings.DELETION_GRACE_DAYS,
            "last_export": exports.filter(tenant_id=tenant.pk, status=ExportStatus.DONE).first(),
        }


class DeletionDetail(WorkView):
    template_name = "tenant_data/deletion_detail.html"
    partial_name = "progress"

    def get(self, request: ConsoleRequest, deletion_id: UUID) -> HttpResponse:
        deletion = self.deletion(deletion_id)
        return self.render(
            deletion=deletion,
            state=DeletionStatus(deletion.status),
            is_at_work=deletion.status == DeletionStatus.RUNNING,
            schema_is_there=deletion.stage == DeletionStage.SCHEMA,
            events=self.latest(_about(self, deletion)),
            may=self.may("deletion.retry", "deletion.cancel"),
        )


class DeletionCancel(WorkView):
    permission = "tenant_data.deletion.cancel"

    def post(self, request: ConsoleRequest, deletion_id: UUID) -> HttpResponse:
        services.cancel_deletion(
            actor=request.actor, deletion=self.deletion(deletion_id), cancelled_at=timezone.now()
        )
        messages.success(request, _("Cancelled. The tenant stays closed."))
        return redirect("governance:deletion-detail", deletion_id)


class DeletionRetry(WorkView):
    permission = "tenant_data.deletion.retry"

    def post(self, request: ConsoleRequest, deletion_id: UUID) -> HttpResponse:
        services.retry_deletion(
            actor=request.actor, deletion=self.deletion(deletion_id), at=timezone.now()
        )
        return redirect("governance:deletion-detail", deletion_id)


def _about(view: WorkView, work: TenantExport | TenantDeletion) -> Any:
    """Return the events about a piece of work, and those in which its tenant went."""
    of_work = Q(target_type=work._meta.label_lower, target_id=str(work.pk))
    gone = Q(target_type="registry.formertenant", target_id=str(work.number))
    return audit_events_visible_to(view.request.actor).filter(of_work | gone)
