"""Logins that are not looked up again, where the act itself checks that they are as they were."""

from __future__ import annotations

from typing import Any

import structlog
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from execfabric.core.actor import Actor, current_schema
from execfabric.web.api.views import ApiView
from execfabric.web.uploads import content_length

from .actors import client_address
from .authentication import ROLES, api_door, digest_of_login, log_in
from .models import ApiToken
from .sessions.services import SEEN_EVERY

logger = structlog.get_logger(__name__)

LOGIN_HOLDS_STILL = f"""EXISTS (
    SELECT 1 FROM accounts_apitoken token
    JOIN accounts_account account ON account.id = token.user_id
    WHERE token.digest = %s AND token.user_id = %s AND token.proven_at = %s
        AND (token.expiry IS NULL OR token.expiry > clock_timestamp())
        AND account.is_active AND account.username = %s AND account.display_name = %s
        AND {ROLES} = %s
)"""  # noqa: S608 - a piece of our own
"""SQL for whether a login that is remembered is as it was; its values are ``actor.as_seen``."""
LARGEST_BODY = 64 * 1024
"""Bytes that are read of somebody who may not come any more. Longer ones wait for the look-up."""
MOST_REMEMBERED = 1000
_remembered: dict[tuple[str, str], ApiToken] = {}
"""Tokens that somebody came with, by schema and digest. Everybody's: nothing on them is changed."""


class LoginCheckedByTheAct(ApiView):
    """A view whose POST does one thing, by a statement that checks LOGIN_HOLDS_STILL.

    Whoever came before is not looked up for it. Until that statement has found the login as it was,
    nothing is done for the request, and nothing told to it: whatever else comes of it, the login is
    looked up before the answer. post() calls ``look_up_login`` before it does anything else in the
    name of ``request.actor``, and ``note_login`` with what the statement has found.
    """

    _login_is_checked = True
    """False while it is left to the act."""

    def perform_authentication(self, request: Request) -> None:
        if request.method == "POST" and _recognise(request):
            self._login_is_checked = False
        else:
            super().perform_authentication(request)

    def handle_exception(self, exc: Exception) -> Response:
        try:
            self.look_up_login()
        except Exception as refusal:
            logger.info("login.refused_after_error", exc_info=exc)
            exc = refusal
        return super().handle_exception(exc)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        try:
            self.look_up_login()
        except Exception as refusal:  # noqa: BLE001 - whatever it is, it is told instead
            response = self.handle_exception(refusal)
        return super().finalize_response(request, response, *args, **kwargs)

    def look_up_login(self) -> None:
        """Log in anew where that was left to the act. Raises APIException where it is refused."""
        if self._login_is_checked:
            return
        request: Any = self.request
        self._login_is_checked = True
        _remembered.pop(_key_of(request.auth), None)
        nobody = Actor.anonymous(door=api_door(request), address=client_address(request))
        request.actor = request._request.actor = nobody
        request._not_authenticated()
        request._authenticate()
        self.check_permissions(request)

    def note_login(self, found: tuple[object, ...]) -> None:
        """Take note of what the act has found as it was seen, and remember who was looked up."""
        request: Any = self.request
        if self._login_is_checked:
            if len(_remembered) >= MOST_REMEMBERED:
                _remembered.clear()
            _remembered[_key_of(request.auth)] = request.auth
        elif found:
            self._login_is_checked = found is request.actor.as_seen


def _recognise(request: Any) -> bool:
    """Log in as before, without asking the database; False where the token has to be looked up."""
    if not 0 < content_length(request) <= LARGEST_BODY:
        return False
    digest = digest_of_login(request)
    token = _remembered.get((current_schema(), digest or ""))
    # Else nobody would note that it is in use.
    if token is None or timezone.now() - token.last_used_at > SEEN_EVERY:
        return False
    account = token.user
    seen = (token.digest, account.pk, token.proven_at, account.username, account.display_name)
    log_in(request, token, as_seen=(*seen, token.assigned))
    request.user, request.auth = account, token
    return True


def _key_of(token: ApiToken) -> tuple[str, str]:
    return current_schema(), token.digest
