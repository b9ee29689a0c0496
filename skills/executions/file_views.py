"""Pages and downloads of the files of an execution, and how long they are kept."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from execfabric.core.errors import DomainError
from execfabric.core.permissions import can
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView
from tenants.accounts.actors import client_address

from . import previews
from .downloads import download, download_all, shown
from .forms import RetentionForm
from .inputs import files_of
from .links import LASTS, make_link, open_link
from .models import Artifact, StoredFile
from .retention import set_retention
from .selectors import artifacts_visible_to, days_kept
from .views import ExecutionView, files_context


class ExecutionFiles(ExecutionView):
    """One page of the files an execution left, as a fragment of its page."""

    template_name = "executions/artifacts.html"

    def get(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponse:
        execution = self.execution(execution_id)
        return self.render(execution=execution, **files_context(request, execution))


class ExecutionArchive(ExecutionView):
    """All files an execution left, as one ZIP file."""

    def get(self, request: ConsoleRequest, execution_id: UUID) -> HttpResponseBase:
        return download_all(self.execution(execution_id))


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
            pdf_url=reverse("executions:artifact-pdf", args=[artifact.pk]),
            download_url=reverse("executions:artifact-download", args=[artifact.pk]),
        )


class ArtifactShown(ArtifactView):
    """An image or PDF itself."""

    kind: ClassVar[str] = ""

    def get(self, request: ConsoleRequest, artifact_id: UUID) -> HttpResponseBase:
        return shown(self.artifact(artifact_id), self.kind)


class ArtifactLink(ArtifactView):
    """Makes a link that downloads the file without a login, for a few minutes."""

    template_name = "executions/artifact_link.html"
    partial_name = "link"

    def post(self, request: ConsoleRequest, artifact_id: UUID) -> HttpResponse:
        artifact = self.artifact(artifact_id)
        link = make_link(actor=request.actor, artifact=artifact, host=request.get_host())
        path = reverse("executions:artifact-linked", args=[artifact.pk, link.signed])
        response = self.render(
            artifact=artifact,
            url=request.build_absolute_uri(path),
            expires_at=link.expires_at,
            minutes=int(LASTS.total_seconds() // 60),
        )
        response["Cache-Control"] = "no-store"
        return response


class LinkedDownload(ConsoleView):
    """The file of a link; whoever has it needs no login."""

    login_required = False

    def get(self, request: ConsoleRequest, artifact_id: UUID, signed: str) -> HttpResponseBase:
        artifact = open_link(
            artifact_id, signed, host=request.get_host(), address=client_address(request)
        )
        response = download(artifact)
        response["Cache-Control"] = "private, no-store"
        return response


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
        ids = [execution_id, file_id]
        return self.render(
            file=file,
            preview=previews.preview_of(file),
            image_url=reverse("executions:input-image", args=ids),
            pdf_url=reverse("executions:input-pdf", args=ids),
            download_url=reverse("executions:input-download", args=ids),
        )


class InputShown(InputView):
    """An image or PDF itself."""

    kind: ClassVar[str] = ""

    def get(self, request: ConsoleRequest, execution_id: UUID, file_id: UUID) -> HttpResponseBase:
        return shown(self.file(execution_id, file_id), self.kind)


class Retention(ConsoleView):
    """How long files are kept in this workspace; for those who may decide it."""

    template_name = "executions/retention.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        self._check()
        return self._page(RetentionForm(initial={"days": days_kept()}))

    def post(self, request: ConsoleRequest) -> HttpResponse:
        self._check()
        form = RetentionForm(request.POST)
        if not form.is_valid():
            return self._page(form, status=422)
        try:
            set_retention(actor=request.actor, days=form.cleaned_data["days"])
        except DomainError as error:
            form.add_error("days", error.message)
            return self._page(form, status=422)
        messages.success(request, _("Saved. It counts for earlier executions, too."))
        return redirect("executions:retention")

    def _check(self) -> None:
        if not can(self.request.actor, "executions.retention.set"):
            raise Http404

    def _page(self, form: RetentionForm, status: int = 200) -> HttpResponse:
        return self.render(
            status=status,
            form=form,
            usual=settings.FILES_KEPT_DAYS,
            most=settings.FILES_KEPT_DAYS_MOST,
        )
