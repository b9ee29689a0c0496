from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django_tenants.utils import get_public_schema_name

from execfabric.core.actor import current_schema
from execfabric.core.permissions import can
from execfabric.web.audit.views import TrailView
from execfabric.web.requests import ConsoleRequest

from .archiving import preview_here
from .fetching import send_archive
from .forms import DaysForm
from .models import Upkeep
from .selectors import archive_visible_to, archives_visible_to, cutoff, days_kept
from .services import request_archive, set_retention


class ArchivePage(TrailView):
    template_name = "audit_archives/archive_list.html"

    def page(self, form: DaysForm, *, status: int = 200, **context: Any) -> HttpResponse:
        is_platform = current_schema() == get_public_schema_name()
        return self.render(
            status=status,
            form=form,
            archives=archives_visible_to(self.request.actor),
            days=days_kept(),
            may_keep=can(self.request.actor, "core.audit.retain"),
            may_request=can(self.request.actor, "core.audit.request_archive"),
            may_export=can(self.request.actor, "core.audit.export"),
            upkeep=Upkeep.objects.all() if is_platform else [],
            **{"asked": None, "preview": {}, **context},
        )


class ArchiveList(ArchivePage):
    """The archives of this host's trail, for how long events stay, and what would move now."""

    def get(self, request: ConsoleRequest) -> HttpResponse:
        asked = DaysForm(request.GET) if "days" in request.GET else None
        preview: dict[str, Any] = {}
        if asked is not None and asked.is_valid():
            before = cutoff(timezone.now(), asked.cleaned_data["days"])
            preview = {"before": before, "due": preview_here(before), **asked.cleaned_data}
        return self.page(DaysForm(initial={"days": days_kept()}), asked=asked, preview=preview)


class Keep(ArchivePage):
    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = DaysForm(request.POST)
        if not form.is_valid():
            return self.page(form, status=422)
        set_retention(actor=request.actor, days=form.cleaned_data["days"])
        messages.success(request, _("Saved. Older events move to archives, bit by bit."))
        return redirect("audit_archives:archive-list")


class RequestArchive(TrailView):
    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = DaysForm(request.POST)
        if form.is_valid():
            request_archive(actor=request.actor, days=form.cleaned_data["days"])
            messages.success(request, _("A worker writes the archive. Reload in a moment."))
        else:
            messages.error(request, _("Give a number of days, as the form says."))
        return redirect("audit_archives:archive-list")


class ArchiveFile(TrailView):
    """An archive as it is stored; taking it is an export, and leaves an event like one."""

    def post(self, request: ConsoleRequest, archive_id: UUID) -> HttpResponseBase:
        archive = get_object_or_404(archive_visible_to(request.actor, archive_id))
        return send_archive(request.actor, archive)
