"""Credentials over the API of the admin host: in, replaced, revoked; never out."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.requests import ApiRequest

from .api import GovernedView
from .credentials import services
from .models import HttpCredential
from .selectors import credentials_visible_to
from .serializers import CredentialDetailOut, CredentialIn, CredentialOut, ReasonIn, SecretsIn

TAG = ["credentials"]


class CredentialView(GovernedView):
    def credential(self, request: ApiRequest, name: str) -> HttpCredential:
        found: HttpCredential = self.find(credentials_visible_to(request.actor), name=name)
        return found


class CredentialListView(CredentialView):
    @extend_schema(
        operation_id="credentials_list",
        tags=TAG,
        responses={200: CredentialOut(many=True), **error_responses(401, 403)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the credentials, without secrets."""
        return self.page(credentials_visible_to(request.actor), CredentialOut)

    @extend_schema(
        operation_id="credentials_create",
        tags=TAG,
        request=CredentialIn,
        responses={201: CredentialDetailOut, **error_responses(400, 401, 403, 409)},
    )
    def post(self, request: ApiRequest) -> Response:
        """Store a credential, encrypted."""
        wanted = self.body(CredentialIn)
        stored = services.create_credential(actor=request.actor, **wanted)
        return Response(CredentialDetailOut(stored).data, status=201)


class CredentialDetailView(CredentialView):
    @extend_schema(
        operation_id="credentials_retrieve",
        tags=TAG,
        responses={200: CredentialDetailOut, **error_responses(401, 403, 404)},
    )
    def get(self, request: ApiRequest, name: str) -> Response:
        """Return a credential without its secrets, and the resources that use it."""
        return Response(CredentialDetailOut(self.credential(request, name)).data)


class CredentialReplaceView(CredentialView):
    @extend_schema(
        operation_id="credentials_replace",
        tags=TAG,
        request=SecretsIn,
        responses={200: CredentialDetailOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Store another secret, used from now on; the old one is forgotten."""
        credential = self.credential(request, name)
        wanted = self.body(SecretsIn)
        done = services.replace_credential(actor=request.actor, credential=credential, **wanted)
        return Response(CredentialDetailOut(done).data)


class CredentialRevokeView(CredentialView):
    @extend_schema(
        operation_id="credentials_revoke",
        tags=TAG,
        request=ReasonIn,
        responses={200: CredentialDetailOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def post(self, request: ApiRequest, name: str) -> Response:
        """Let nobody use it any more, at once, and forget its secrets."""
        credential = self.credential(request, name)
        wanted = self.body(ReasonIn)
        done = services.revoke_credential(actor=request.actor, credential=credential, **wanted)
        return Response(CredentialDetailOut(done).data)
