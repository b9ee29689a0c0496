from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django_tables2 import RequestConfig

from execfabric.core.errors import DomainError
from execfabric.web.requests import ConsoleRequest
from governance.views import PlatformView
from tenants.registry.selectors import tenants_visible_to

from .. import openapi, selectors, services
from ..forms import (
    AddressesForm,
    GrantForm,
    ImportForm,
    ReasonForm,
    ResourceForm,
    VersionForm,
    WriteForm,
    initial_from,
    initial_of,
    pretty,
)
from ..grants.services import grant_resource, revoke_grant
from ..models import HttpGrant, HttpResource
from ..tables import ResourceTable
from ..trials.services import trials_of

PER_PAGE = 50
LATEST = 8
ADDRESSES_ID = "addresses_%s"
"""Three forms stand on one page, two with a reason: each label must lead to its own field."""


class ResourceView(PlatformView):
    """Base of everything about HTTP resources; 404 for who may not govern them."""

    permission = selectors.READ

    def resource(self, name: str) -> HttpResource:
        return get_object_or_404(selectors.resources_visible_to(self.request.actor), name=name)


class ResourceList(ResourceView):
    template_name = "http_access/resource_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        table = ResourceTable(selectors.resources_visible_to(request.actor))
        RequestConfig(request, paginate={"per_page": PER_PAGE}).configure(table)
        return self.render(table=table)


class ResourceNew(ResourceView):
    template_name = "http_access/resource_form.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(form=ResourceForm())

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = ResourceForm(request.POST)
        if not form.is_valid():
            return self.invalid(form)
        try:
            resource = services.create_resource(
                actor=request.actor, name=form.cleaned_data["name"], description=form.described()
            )
        except DomainError as error:
            return self.invalid(form, error=error)
        messages.success(request, _("Created. Try it out before you grant it."))
        return redirect("http_access:resource-detail", resource.name)


class ResourceImport(ResourceView):
    """Two steps on one page: the document, then one of its operations, into the form."""

    template_name = "http_access/resource_import.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.render(form=ImportForm())

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = ImportForm(request.POST)
        if not form.is_valid():
            return self.invalid(form)
        try:
            document = openapi.parse_document(form.cleaned_data["document"])
            if not form.cleaned_data["operation"]:
                form.fields["document"].widget = forms.HiddenInput()
                return self.render(form=form, operations=openapi.operations_of(document))
            found = openapi.description_of(document, form.cleaned_data["operation"])
        except DomainError as error:
            return self.invalid(form, error=error)
        initial = {
            **initial_from(found["spec"], found["inputs"], found["output_fields"]),
            **{name: found[name] for name in ("name", "title", "description")},
        }
        return self.render(
            template_name="http_access/resource_form.html",
            form=ResourceForm(initial=initial),
            is_import=True,
        )


class ResourceDetail(ResourceView):
    template_name = "http_access/resource_detail.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        return self.page(self.resource(name))

    def page(self, resource: HttpResource, *, status: int = 200, **bound: Any) -> HttpResponse:
        version = selectors.latest_version(resource)
        spec = version.parsed()
        reads = ["query", "headers", "outputs", "tls", "allowed_hosts"]
        if spec.body.kind != "none":
            reads.insert(2, "body")
        return self.render(
            status=status,
            resource=resource,
            version=version,
            spec=spec,
            plain_hosts=[url.authority for url in spec.plain_urls()],
            unapproved_hosts=[url.authority for url in spec.unapproved_plain_urls()],
            shown=pretty({name: version.spec[name] for name in reads if version.spec.get(name)}),
            versions=resource.versions.all(),
            writes=resource.writes.all(),
            grants=selectors.grants_of(resource),
            trials=trials_of(self.request.actor, resource.name)[:LATEST],
            write_form=bound.get("write_form")
            or WriteForm(initial={"method": spec.method, "path": spec.url_path}),
            addresses_form=bound.get("addresses_form")
            or AddressesForm(
                initial={"addresses": "\n".join(resource.open_addresses)}, auto_id=ADDRESSES_ID
            ),
            grant_form=bound.get("grant_form") or GrantForm(tenants=self.tenants()),
        )

    def tenants(self) -> Any:
        return tenants_visible_to(self.request.actor)

    def again(self, resource: HttpResource, **bound: forms.Form) -> HttpResponse:
        """Return the page with the errors of one of its forms."""
        return self.page(resource, status=422, **bound)


class ResourceRevise(ResourceView):
    template_name = "http_access/resource_form.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        resource = self.resource(name)
        version = selectors.latest_version(resource)
        return self.render(form=VersionForm(initial=initial_of(version)), resource=resource)

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        resource, form = self.resource(name), VersionForm(request.POST)
        if not form.is_valid():
            return self.invalid(form, resource=resource)
        try:
            version = services.revise_resource(
                actor=request.actor, resource=resource, description=form.described()
            )
        except DomainError as error:
            return self.invalid(form, error=error, resource=resource)
        messages.success(
            request,
            _("Version %d is there. Tenants keep theirs until you grant it again.")
            % version.number,
        )
        return redirect("http_access:resource-detail", name)


class ResourceDisable(ResourceView):
    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        resource, form = self.resource(name), ReasonForm(request.POST)
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        services.disable_resource(actor=request.actor, resource=resource, reason=reason)
        messages.success(request, _("Switched off. Nobody can call it."))
        return redirect("http_access:resource-detail", name)


class ResourceEnable(ResourceView):
    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        services.enable_resource(actor=request.actor, resource=self.resource(name))
        messages.success(request, _("Switched on."))
        return redirect("http_access:resource-detail", name)


class AddressesOpen(ResourceDetail):
    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        return redirect("http_access:resource-detail", self.resource(name).name)

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        resource, form = self.resource(name), AddressesForm(request.POST, auto_id=ADDRESSES_ID)
        if not form.is_valid():
            return self.again(resource, addresses_form=form)
        try:
            services.open_addresses(
                actor=request.actor,
                resource=resource,
                addresses=form.cleaned_data["addresses"].split(),
                reason=form.cleaned_data["reason"],
            )
        except DomainError as error:
            form.add_error("addresses", error.message)
            return self.again(resource, addresses_form=form)
        messages.success(request, _("Saved. It holds from the next call on."))
        return redirect("http_access:resource-detail", name)


class WriteAllow(AddressesOpen):
    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        resource, form = self.resource(name), WriteForm(request.POST)
        if not form.is_valid():
            return self.again(resource, write_form=form)
        try:
            services.allow_write(actor=request.actor, resource=resource, **form.cleaned_data)
        except DomainError as error:
            for field, text in (error.fields or {"path": error.message}).items():
                form.add_error(field if field in form.fields else None, text)
            return self.again(resource, write_form=form)
        messages.success(request, _("This write is allowed now."))
        return redirect("http_access:resource-detail", name)


class WriteRevoke(ResourceView):
    def post(self, request: ConsoleRequest, name: str, write_id: UUID) -> HttpResponse:
        write = get_object_or_404(self.resource(name).writes, pk=write_id)
        services.revoke_write(actor=request.actor, write=write)
        messages.success(request, _("This write is denied again."))
        return redirect("http_access:resource-detail", name)


class GrantGive(AddressesOpen):
    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        resource, form = self.resource(name), GrantForm(request.POST, tenants=self.tenants())
        if not form.is_valid():
            return self.again(resource, grant_form=form)
        wanted = dict(form.cleaned_data)
        tenant = self.tenant(wanted.pop("tenant"))
        try:
            grant_resource(actor=request.actor, resource=resource, tenant=tenant, **wanted)
        except DomainError as error:
            form.add_error(None, [error.message, *error.fields.values()])
            return self.again(resource, grant_form=form)
        messages.success(request, _("Granted to %s.") % tenant.title)
        return redirect("http_access:resource-detail", name)


class GrantRevoke(ResourceView):
    def post(self, request: ConsoleRequest, name: str, grant_id: UUID) -> HttpResponse:
        grants = selectors.grants_of(self.resource(name))
        try:
            grant = grants.get(pk=grant_id)
        except HttpGrant.DoesNotExist:
            raise Http404 from None
        form = ReasonForm(request.POST)
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        revoke_grant(actor=request.actor, grant=grant, reason=reason)
        messages.success(request, _("Revoked. Nothing of it starts any more."))
        return redirect("http_access:resource-detail", name)
