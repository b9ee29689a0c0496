"""HTTP resources over the API of the admin host."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from execfabric.core.errors import InvalidInput
from execfabric.core.permissions import require
from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from tenants.registry.selectors import tenants_visible_to

from . import openapi, selectors, services
from .grants.services import grant_resource, revoke_grant
from .models import HttpCredential, HttpResource
from .serializers import (
    AddressesIn,
    DocumentIn,
    DryRunOut,
    GrantIn,
    GrantOut,
    ImportOut,
    InputsIn,
    ReasonIn,
    ResourceDetailOut,
    ResourceIn,
    ResourceOut,
    TrialIn,
    TrialOut,
    VersionIn,
    VersionOut,
    WriteIn,
    WriteOut,
)
from .services import Description
from .trials.services import dry_run, trials_of, try_resource

TAG = ["http-resources"]


class GovernedView(ApiView):
    """403 for who may not govern HTTP resources, before anything is looked at."""

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require(request.actor, selectors.READ)

    def resource(self, request: ApiRequest, name: str) -> HttpResource:
        found: HttpResource = self.find(selectors.resources_visible_to(request.actor), name=name)
        return found


class ResourceListView(GovernedView):
    @extend_schema(
        operation_id="http_resources_list",
        tags=TAG,
        responses={200: ResourceOut(many=True), **error_responses(401, 403)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the HTTP resources."""
        return self.page(selectors.resources_visible_to(request.actor), ResourceOut)

    @extend_schema(
        operation_id="http_resources_create",
        tags=TAG,
        request=ResourceIn,
        responses={201: ResourceDetailOut, **error_responses(400, 401, 403)},
    )
    def post(self, request: ApiRequest) -> Response:
        """Create an HTTP resource with its first version."""
        wanted = self.body(ResourceIn)
        name = wanted.pop("name")
        resource = services.create_resource(
            actor=request.actor, name=name, description=described(request, wanted)
        )
        return Response(ResourceDetailOut(resource).data, status=201)


class ResourceImportView(GovernedView):
    @extend_schema(
        operation_id="http_resources_import",
        tags=TAG,
        request=DocumentIn,
        responses={200: ImportOut, **error_responses(400, 401, 403)},
    )
    def post(self, request: ApiRequest) -> Response:
        """Read an OpenAPI document and one of its operations as a resource. Stores nothing."""
        wanted = self.body(DocumentIn)
        document = openapi.parse_document(wanted["document"])
        found = None
        if wanted["operation"]:
            found = openapi.description_of(document, wanted["operation"])
            found["outputs"] = found.pop("output_fields")
        read = {"operations": openapi.operations_of(document), "description": found}
        return Response(ImportOut(read).data)


class ResourceDetailView(GovernedView):
    @extend_schema(
        operation_id="http_resources_retrieve",
        tags=TAG,
        responses={200: ResourceDetailOut, **error_responses(401, 403, 404)},
    )
    def get(self, request: ApiRequest, name: str) -> Response:
        """Return a resource with its newest version, whitelist and grants."""
        return Response(ResourceDetailOut(self.resource(request, name)).data)


class VersionListView(GovernedView):
    @extend_schema(
        operation_id="http_resources_revise",
        tags=TAG,
        request=VersionIn,
        responses={201: VersionOut, **error_responses(400, 401, 403, 404)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Add a version. Tenants keep theirs until it is granted again."""
        resource = self.resource(request, name)
        version = services.revise_resource(
            actor=request.actor,
            resource=resource,
            description=described(request, self.body(VersionIn)),
        )
        return Response(VersionOut(version).data, status=201)


class DryRunView(GovernedView):
    @extend_schema(
        operation_id="http_resources_dry_run",
        tags=TAG,
        request=InputsIn,
        responses={200: DryRunOut, **error_responses(400, 401, 403, 404)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Return the exact request with secrets masked. Nothing is sent."""
        version = selectors.latest_version(self.resource(request, name))
        wanted = self.body(InputsIn)
        return Response(dry_run(actor=request.actor, version=version, inputs=wanted["inputs"]))


class TrialListView(GovernedView):
    @extend_schema(
        operation_id="http_resources_trial",
        tags=TAG,
        request=TrialIn,
        responses={201: TrialOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Call it once for real; recorded as an execution of the public domain."""
        version = selectors.latest_version(self.resource(request, name))
        wanted = self.body(TrialIn)
        execution = try_resource(actor=request.actor, version=version, **wanted)
        return Response(TrialOut(execution).data, status=201)


class TrialDetailView(GovernedView):
    @extend_schema(
        operation_id="http_resources_trial_retrieve",
        tags=TAG,
        responses={200: TrialOut, **error_responses(401, 403, 404)},
    )
    def get(self, request: ApiRequest, name: str, trial_id: UUID) -> Response:
        """Return a trial with its trace."""
        trials = trials_of(request.actor, self.resource(request, name).name)
        return Response(TrialOut(self.find(trials, pk=trial_id)).data)


class ResourceDisableView(GovernedView):
    @extend_schema(
        operation_id="http_resources_disable",
        tags=TAG,
        request=ReasonIn,
        responses={200: ResourceDetailOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Let nobody call it any more, at once."""
        resource = self.resource(request, name)
        wanted = self.body(ReasonIn)
        done = services.disable_resource(actor=request.actor, resource=resource, **wanted)
        return Response(ResourceDetailOut(done).data)


class ResourceEnableView(GovernedView):
    @extend_schema(
        operation_id="http_resources_enable",
        tags=TAG,
        request=None,
        responses={200: ResourceDetailOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Let it be called again."""
        resource = self.resource(request, name)
        done = services.enable_resource(actor=request.actor, resource=resource)
        return Response(ResourceDetailOut(done).data)


class AddressesView(GovernedView):
    @extend_schema(
        operation_id="http_resources_open_addresses",
        tags=TAG,
        request=AddressesIn,
        responses={200: ResourceDetailOut, **error_responses(400, 401, 403, 404)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Approve it for addresses that are not public; replaces what was approved before."""
        resource = self.resource(request, name)
        wanted = self.body(AddressesIn)
        done = services.open_addresses(actor=request.actor, resource=resource, **wanted)
        return Response(ResourceDetailOut(done).data)


class WriteListView(GovernedView):
    @extend_schema(
        operation_id="http_resources_allow_write",
        tags=TAG,
        request=WriteIn,
        responses={201: WriteOut, **error_responses(400, 401, 403, 404)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Put a write on the whitelist."""
        resource = self.resource(request, name)
        wanted = self.body(WriteIn)
        write = services.allow_write(actor=request.actor, resource=resource, **wanted)
        return Response(WriteOut(write).data, status=201)


class WriteRevokeView(GovernedView):
    @extend_schema(
        operation_id="http_resources_revoke_write",
        tags=TAG,
        request=None,
        responses={200: WriteOut, **error_responses(401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str, write_id: UUID) -> Response:
        """Deny a write again, at once."""
        write = self.find(self.resource(request, name).writes.all(), pk=write_id)
        return Response(WriteOut(services.revoke_write(actor=request.actor, write=write)).data)


class GrantListView(GovernedView):
    @extend_schema(
        operation_id="http_resources_grant",
        tags=TAG,
        request=GrantIn,
        responses={201: GrantOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Let a tenant see it, or run it as a skill; again: bring it to the newest version."""
        resource = self.resource(request, name)
        wanted = self.body(GrantIn)
        tenant = self.find(tenants_visible_to(request.actor), name=wanted.pop("tenant"))
        grant = grant_resource(actor=request.actor, resource=resource, tenant=tenant, **wanted)
        return Response(GrantOut(grant).data, status=201)


class GrantRevokeView(GovernedView):
    @extend_schema(
        operation_id="http_resources_revoke_grant",
        tags=TAG,
        request=ReasonIn,
        responses={200: GrantOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str, grant_id: UUID) -> Response:
        """Take it from a tenant, at once."""
        grant = self.find(selectors.grants_of(self.resource(request, name)), pk=grant_id)
        wanted = self.body(ReasonIn)
        return Response(GrantOut(revoke_grant(actor=request.actor, grant=grant, **wanted)).data)


def described(request: ApiRequest, wanted: dict[str, Any]) -> Description:
    """Return what a body describes. Raises InvalidInput for a credential that is not there."""
    wanted["output_fields"] = wanted.pop("outputs")
    for field in ("credential", "client_certificate"):
        wanted[field] = _credential(request, field, wanted[field])
    return Description(**wanted)


def _credential(request: ApiRequest, field: str, name: str | None) -> HttpCredential | None:
    if name is None:
        return None
    found = selectors.credentials_visible_to(request.actor).filter(name=name).first()
    if found is None:
        wrong = f"There is no credential {name}."
        raise InvalidInput(wrong, fields={field: wrong})
    return found
