from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth import user_logged_in
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView, PublicApiView
from execfabric.web.requests import ApiRequest

from . import services
from .authentication import api_door
from .login import prove
from .models import Account
from .sessions.opening import agent_of


class LoginIn(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    code = serializers.CharField(
        max_length=64,
        required=False,
        allow_blank=True,
        help_text="Of the authenticator app, or a recovery code, where the account has a second "
        "factor. Without it the answer is 401 with the code second_factor_needed.",
    )


class ProofIn(serializers.Serializer):
    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    code = serializers.CharField(
        max_length=64,
        required=False,
        allow_blank=True,
        help_text="As at the login.",
    )


class ProofOut(serializers.Serializer):
    proven_until = serializers.DateTimeField(
        help_text="Until when this token may do what needs a fresh proof."
    )


class UserOut(serializers.Serializer):
    username = serializers.CharField()
    display_name = serializers.CharField(source="get_full_name")
    roles = serializers.SerializerMethodField()

    def get_roles(self, account: Account) -> list[str]:
        return sorted(self.context["roles"])


class OwnTenantOut(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()


class TokenOut(serializers.Serializer):
    token = serializers.CharField(help_text="Shown once. Send it as: Authorization: Bearer <token>")
    expires_at = serializers.DateTimeField(allow_null=True)
    user = UserOut()


class MeOut(UserOut):
    tenant = OwnTenantOut()


class LoginView(PublicApiView):
    """Exchange username and password for a bearer token of this host."""

    @extend_schema(
        operation_id="auth_login",
        tags=["auth"],
        request=LoginIn,
        responses={200: TokenOut, **error_responses(400, 401, 429)},
        examples=[
            OpenApiExample(
                "Log in", value={"username": "olivia", "password": "…"}, request_only=True
            )
        ],
        auth=[],
    )
    def post(self, request: ApiRequest) -> Response:
        body = LoginIn(data=request.data)
        body.is_valid(raise_exception=True)
        username = body.validated_data["username"]
        password = body.validated_data["password"]
        code = body.validated_data.get("code", "")
        attempt = prove(request._request, username, password, door=api_door(request), code=code)
        if attempt.awaits_code:
            services.await_code(actor=attempt.actor, account=attempt.awaits_code)
            raise services.CodeNeeded("Send the code of your second factor as well.")
        token = services.issue_token(
            actor=attempt.actor,
            username=username,
            account=attempt.account,
            locked_out=attempt.locked_out,
            factor=attempt.factor,
            wants_code=attempt.wants_code,
            agent=agent_of(request._request),
        )
        # As a page's login does: forgets the failed attempts and notes the time.
        user_logged_in.send(sender=Account, request=request._request, user=token.user)
        document = {"token": token.plain, "expires_at": token.expiry, "user": token.user}
        roles = services.roles_of(token.user)
        return Response(TokenOut(document, context={"roles": roles}).data)


class LogoutView(ApiView):
    """Revoke the token this request was sent with."""

    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="auth_logout",
        tags=["auth"],
        request=None,
        responses={204: None, **error_responses(401)},
    )
    def post(self, request: ApiRequest) -> Response:
        services.revoke_token(actor=request.actor, account=request.user, token=request.auth)
        return Response(status=204)


class ProveView(ApiView):
    """Prove again who the token belongs to, for what a token may do within minutes only."""

    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="auth_prove",
        tags=["auth"],
        request=ProofIn,
        responses={200: ProofOut, **error_responses(400, 401, 429)},
    )
    def post(self, request: ApiRequest) -> Response:
        body = ProofIn(data=request.data)
        body.is_valid(raise_exception=True)
        attempt = prove(
            request._request,
            request.user.username,
            body.validated_data["password"],
            door=api_door(request),
            code=body.validated_data.get("code", ""),
        )
        if attempt.awaits_code:
            raise services.CodeNeeded("Send the code of your second factor as well.")
        services.prove_again(
            actor=request.actor,
            account=request.user,
            proven=attempt.account,
            locked_out=attempt.locked_out,
            factor=attempt.factor,
            wants_code=attempt.wants_code,
            token=request.auth,
        )
        until = timezone.now() + timedelta(seconds=settings.PROOF_S)
        return Response(ProofOut({"proven_until": until}).data)


class MeView(ApiView):
    """Who the token belongs to."""

    @extend_schema(operation_id="me", tags=["auth"], responses={200: MeOut, **error_responses(401)})
    def get(self, request: ApiRequest) -> Response:
        request.user.tenant = request._request.tenant
        return Response(MeOut(request.user, context={"roles": request.actor.roles}).data)
