from __future__ import annotations

import binascii
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.settings import CONSTANTS, knox_settings
from rest_framework.exceptions import AuthenticationFailed

from execfabric.core import statements
from execfabric.core.actor import Door
from execfabric.core.audit import storable
from execfabric.web.requests import ApiRequest

from .actors import actor_for_account, client_address, counts_as_proof
from .models import Account, ApiToken
from .sessions.services import SEEN_EVERY, touch_token

SCHEME = knox_settings.AUTH_HEADER_PREFIX.lower().encode()


class BearerAuthentication(TokenAuthentication):
    """``Authorization: Bearer <token>``. A token is looked up in the tenant of the host only."""

    def authenticate(self, request: ApiRequest) -> tuple[Account, ApiToken] | None:
        said = _token_of(request)
        if said is None:
            return None
        account, token = self.authenticate_credentials(said)
        log_in(request, token)
        return account, token

    def authenticate_credentials(self, token: bytes) -> tuple[Account, ApiToken]:
        """Return account and token, from one query. Raises AuthenticationFailed.

        The base class asks for all tokens of the account as well, to delete the expired ones.
        """
        text, digest = _read(token)
        found = statements.send(_TOKENS, [storable(text[: CONSTANTS.TOKEN_KEY_LENGTH])])
        for stored, expires_at, used_at, proven_at, roles, *values in found:
            if not constant_time_compare(digest, stored):
                continue
            account = statements.stored_row(Account, _ACCOUNT_FIELDS, values)
            now = timezone.now()
            known = statements.new_row(
                ApiToken,
                digest=stored,
                expiry=expires_at,
                last_used_at=used_at,
                proven_at=proven_at,
                user=account,
            )
            known.assigned = roles
            if expires_at is not None and expires_at < now:
                known.delete()
                raise AuthenticationFailed
            if not account.is_active:
                raise AuthenticationFailed
            if now - used_at > SEEN_EVERY:
                touch_token(known, seen_at=now)
                known.last_used_at = now
            return account, known
        raise AuthenticationFailed


def log_in(request: ApiRequest, token: ApiToken, *, as_seen: tuple[object, ...] = ()) -> None:
    """Let the account of token act in request; as_seen as in Actor."""
    actor = actor_for_account(
        token.user,
        door=api_door(request),
        address=client_address(request),
        assigned=token.assigned,
        is_proven=counts_as_proof(token.proven_at.timestamp()),
        as_seen=as_seen,
    )
    request.actor = actor
    request._request.actor = actor


def digest_of_login(request: ApiRequest) -> str | None:
    """Return the digest of the token in request. Raises AuthenticationFailed."""
    said = _token_of(request)
    return None if said is None else _read(said)[1]


def _read(token: bytes) -> tuple[str, str]:
    """Return a token's text and digest. Raises AuthenticationFailed."""
    text = token.decode("utf-8", "replace")
    try:
        return text, hash_token(text)
    except (TypeError, binascii.Error):
        raise AuthenticationFailed from None


def _token_of(request: ApiRequest) -> bytes | None:
    """Return the bearer token, None where there is none. Raises AuthenticationFailed."""
    said: str = request.META.get("HTTP_AUTHORIZATION", "")
    words = said.encode("latin-1", "replace").split()
    if not words or words[0].lower() != SCHEME:
        return None
    if len(words) != 2:
        raise AuthenticationFailed
    return words[1]


_ACCOUNT_FIELDS = [field.attname for field in Account._meta.concrete_fields]
ROLES = """ARRAY(
    SELECT role::text FROM accounts_roleassignment WHERE account_id = account.id ORDER BY role
)"""
"""SQL for the roles of an account as stored."""
_TOKENS = f"""
    SELECT token.digest, token.expiry, token.last_used_at, token.proven_at,
        {ROLES},
        {", ".join(f"account.{name}" for name in _ACCOUNT_FIELDS)}
    FROM accounts_apitoken token JOIN accounts_account account ON account.id = token.user_id
    WHERE token.token_key = %s
"""  # noqa: S608 - names of our own columns


def api_door(request: HttpRequest | ApiRequest) -> Door:
    """Return through which program the API was called, by what the program says of itself."""
    says = request.META.get("HTTP_USER_AGENT", "")
    return Door.CLI if says.startswith("execfabric-cli/") else Door.API


class BearerScheme(OpenApiAuthenticationExtension):
    """How the API's description names the token."""

    target_class = BearerAuthentication
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
