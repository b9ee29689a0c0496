from __future__ import annotations

from typing import Any

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
        actor = actor_for_account(account, door=Door.API, address=client_address(request))
        request.actor = actor
        request._request.actor = actor
        return account, token


class BearerScheme(OpenApiAuthenticationExtension):
    """How the API's description names the token."""

    target_class = BearerAuthentication
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
