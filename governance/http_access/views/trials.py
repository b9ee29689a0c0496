from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect

from execfabric.core.errors import DomainError
from execfabric.web.forms import build_form
from execfabric.web.requests import ConsoleRequest
from skills.executions import presentation
from skills.executions.selectors import log_end
from skills.executions.states import Status

from ..forms import pretty
from ..models import HttpResource, HttpResourceVersion
from ..selectors import latest_version
from ..services import manifest_for
from ..trials.services import dry_run, trials_of, try_resource
from .resources import ResourceView

LOG_CHARS = 256 * 1024


class ResourceTry(ResourceView):
    """The inputs, what would be sent, and one call for real."""

    template_name = "http_access/resource_try.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        resource = self.resource(name)
        version = latest_version(resource)
        return self.page(resource, version, form=self.form(version))

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        resource = self.resource(name)
        version = latest_version(resource)
        form = self.form(version, data=request.POST)
        if not form.is_valid():
            return self.page(resource, version, form=form, status=422)
        is_real = request.POST.get("act") == "call"
        try:
            if not is_real:
                shown = dry_run(actor=request.actor, version=version, inputs=form.inputs())
                return self.page(resource, version, form=form, shown=shown)
            execution = try_resource(
                actor=request.actor,
                version=version,
                inputs=form.inputs(),
                confirmed=request.POST.get("confirmed") == "on",
            )
        except DomainError as error:
            form.add_field_errors({k: v for k, v in error.fields.items() if k in form.fields})
            if not set(error.fields) & set(form.fields):
                form.add_error(None, error.message)
            return self.page(resource, version, form=form, status=422)
        return redirect("http_access:trial-detail", name, execution.pk)

    def form(self, version: HttpResourceVersion, **options: Any) -> Any:
        schema = manifest_for(version.resource.name, version).input_schema()
        return build_form(schema, **options)

    def page(
        self,
        resource: HttpResource,
        version: HttpResourceVersion,
        *,
        form: Any,
        status: int = 200,
        shown: dict[str, Any] | None = None,
    ) -> HttpResponse:
        headers = (shown or {}).get("headers", {})
        return self.render(
            status=status,
            resource=resource,
            version=version,
            form=form,
            is_safe=version.parsed().is_safe,
            shown=shown,
            shown_head="\n".join(f"{name}: {text}" for name, text in headers.items()),
        )


class TrialDetail(ResourceView):
    template_name = "http_access/trial_detail.html"
    partial_name = "trial"

    def get(self, request: ConsoleRequest, name: str, trial_id: UUID) -> HttpResponse:
        resource = self.resource(name)
        execution = get_object_or_404(trials_of(request.actor, resource.name), pk=trial_id)
        chunks, left_out = log_end(execution, 0, chars=LOG_CHARS)
        output = execution.output
        return self.render(
            resource=resource,
            execution=execution,
            state=Status(execution.status),
            took_s=presentation.took_s(execution),
            log_lines=presentation.log_lines(chunks, left_out),
            output="" if output is None else pretty(output)[: presentation.LONGEST_RAW],
            inputs=pretty(presentation.masked(execution.version, execution.inputs)),
            artifacts=execution.artifacts.all(),
        )
