from __future__ import annotations

import binascii
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.settings import CONSTANTS
from rest_framework.exceptions import AuthenticationFailed

from execfabric.core.actor import Door
from execfabric.web.requests import ApiRequest

from .actors import actor_for_account, client_address
from .models import Account, ApiToken, RoleAssignment


class BearerAuthentication(TokenAuthentication):
    """``Authorization: Bearer <token>``. A token is looked up in the tenant of the host only."""

    def authenticate(self, request: ApiRequest) -> tuple[Account, ApiToken] | None:
        found: Any = super().authenticate(request)
        if found is None:
            return None
        account, token = found
        door = api_door(request)
        actor = actor_for_account(
            account, door=door, address=client_address(request), assigned=token.assigned
        )
        request.actor = actor
        request._request.actor = actor
        return account, token

    def authenticate_credentials(self, token: bytes) -> tuple[Account, ApiToken]:
        """Return account and token, from one query. Raises AuthenticationFailed.

        The base class asks for all tokens of the account as well, to delete the expired ones.
        """
        text = token.decode("utf-8", "replace")
        assigned = RoleAssignment.objects.filter(account=OuterRef("user_id")).values("role")
        candidates = (
            ApiToken.objects.filter(token_key=text[: CONSTANTS.TOKEN_KEY_LENGTH])
            .select_related("user")
            .annotate(assigned=ArraySubquery(assigned))
        )
        try:
            digest = hash_token(text)
        except (TypeError, binascii.Error):
            raise AuthenticationFailed from None
        for candidate in candidates:
            if not constant_time_compare(digest, candidate.digest):
                continue
            if candidate.expiry is not None and candidate.expiry < timezone.now():
                candidate.delete()
                raise AuthenticationFailed
            if not candidate.user.is_active:
                raise AuthenticationFailed
            return candidate.user, candidate
        raise AuthenticationFailed


def api_door(request: HttpRequest | ApiRequest) -> Door:
    """Return through which program the API was called, by what the program says of itself."""
    says = request.headers.get("User-Agent", "")
    return Door.CLI if says.startswith("execfabric-cli/") else Door.API


class BearerScheme(OpenApiAuthenticationExtension):
    """How the API's description names the token."""

    target_class = BearerAuthentication
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
