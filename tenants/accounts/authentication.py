from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication

from execfabric.core.actor import Door
from execfabric.web.requests import ApiRequest

from .actors import actor_for_account, client_address
from .models import Account, ApiToken


class BearerAuthentication(TokenAuthentication):
    """``Authorization: Bearer <token>``. A token is looked up in the tenant of the host only."""

    def authenticate(self, request: ApiRequest) -> tuple[Account, ApiToken] | None:
        found: Any = super().authenticate(request)
        if found is None:
            return None
        account, token = found
        door = api_door(request)
        actor = actor_for_account(account, door=door, address=client_address(request))
        request.actor = actor
        request._request.actor = actor
        return account, token


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
