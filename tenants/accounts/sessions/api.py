"""Own sessions and API tokens, for programs; both kinds of host answer it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest

from ..models import ApiToken
from . import services
from .selectors import live_sessions, live_tokens

TAGS = ["auth"]


class OwnApiView(ApiView):
    """For everybody with an account here, whatever the roles."""

    permission_classes = [IsAuthenticated]


class SessionOut(serializers.Serializer):
    handle = serializers.CharField(help_text="Names it; nobody can take it over with that.")
    address = serializers.CharField()
    agent = serializers.CharField(help_text="What the browser says it is.")
    started_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()


class OwnTokenOut(serializers.Serializer):
    handle = serializers.CharField(help_text="Names it; nobody can use it with that.")
    address = serializers.CharField()
    agent = serializers.CharField(help_text="What the program says it is.")
    created_at = serializers.DateTimeField(source="created")
    last_used_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(source="expiry", allow_null=True)
    is_this_one = serializers.SerializerMethodField(help_text="Whether this request came with it.")

    @extend_schema_field(serializers.BooleanField())
    def get_is_this_one(self, token: ApiToken) -> bool:
        request: Any = self.context["request"]
        return bool(token.pk == request.auth.pk)


class EndedOut(serializers.Serializer):
    ended = serializers.IntegerField(help_text="How many there were.")


class SessionListView(OwnApiView):
    @extend_schema(
        operation_id="sessions_list",
        tags=TAGS,
        responses={200: SessionOut(many=True), **error_responses(401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List your own logins by page, the one seen last first."""
        return self.page(live_sessions(request.user), SessionOut, ordering="-last_seen_at")

    @extend_schema(
        operation_id="sessions_end_all",
        tags=TAGS,
        responses={200: EndedOut, **error_responses(401)},
    )
    def delete(self, request: ApiRequest) -> Response:
        """End all your own logins by page; tokens stay."""
        ended = services.revoke_other_sessions(
            actor=request.actor, account=request.user, session_token=""
        )
        return Response(EndedOut({"ended": ended}).data)


class SessionDetailView(OwnApiView):
    @extend_schema(
        operation_id="sessions_end",
        tags=TAGS,
        responses={204: None, **error_responses(401, 404)},
    )
    def delete(self, request: ApiRequest, handle: str) -> Response:
        """End one of your own logins by page."""
        services.revoke_session(actor=request.actor, account=request.user, handle=handle)
        return Response(status=204)


class TokenListView(OwnApiView):
    @extend_schema(
        operation_id="tokens_list",
        tags=TAGS,
        responses={200: OwnTokenOut(many=True), **error_responses(401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List your own API tokens, the one used last first."""
        return self.page(live_tokens(request.user), OwnTokenOut, ordering="-last_used_at")

    @extend_schema(
        operation_id="tokens_revoke_all",
        tags=TAGS,
        responses={200: EndedOut, **error_responses(401)},
    )
    def delete(self, request: ApiRequest) -> Response:
        """Make all your own API tokens void, the one of this request too."""
        ended = services.revoke_own_tokens(actor=request.actor, account=request.user)
        return Response(EndedOut({"ended": ended}).data)


class TokenDetailView(OwnApiView):
    @extend_schema(
        operation_id="tokens_revoke",
        tags=TAGS,
        responses={204: None, **error_responses(401, 404)},
    )
    def delete(self, request: ApiRequest, handle: str) -> Response:
        """Make one of your own API tokens void."""
        services.revoke_own_token(actor=request.actor, account=request.user, handle=handle)
        return Response(status=204)
