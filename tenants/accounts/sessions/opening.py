"""From proven credentials to a session, and what a request says of who sends it."""

from __future__ import annotations

import time

from django.contrib.auth import login, update_session_auth_hash
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from execfabric.core.audit import storable
from execfabric.web.requests import ConsoleRequest

from ..actors import actor_for_account, client_address
from ..models import Account
from .services import forget_ended_sessions
from .store import ADDRESS, AGENT, PROVEN_AT, STARTED_AT

LONGEST_AGENT = 200
AWAITS_CODE = "awaits_code"
CODE_WITHIN_S = 300


def begin_session(request: ConsoleRequest, account: Account) -> None:
    """Log account in under a new session key; the login counts as proof for some minutes."""
    forget_ended_sessions()
    login(request, account, backend="django.contrib.auth.backends.ModelBackend")
    now = time.time()
    request.session.pop(AWAITS_CODE, None)
    request.session[STARTED_AT] = now
    request.session[PROVEN_AT] = now
    request.session[ADDRESS] = client_address(request)
    request.session[AGENT] = agent_of(request)


def remember_password(request: ConsoleRequest, account: Account) -> None:
    """Remember for some minutes, under a new session key, whose password was right."""
    request.session.flush()
    request.session[AWAITS_CODE] = {
        "account": account.pk,
        # Bound to password and second factor, as a session is.
        "hash": account.get_session_auth_hash(),
        "until": time.time() + CODE_WITHIN_S,
    }


def remembered_account(request: ConsoleRequest) -> Account | None:
    """Return whose password was right a moment ago; None when that is too long ago."""
    kept = request.session.get(AWAITS_CODE)
    if not kept or kept["until"] < time.time():
        return None
    account = Account.objects.filter(pk=kept["account"], is_active=True).first()
    if account is None or not constant_time_compare(kept["hash"], account.get_session_auth_hash()):
        return None
    return account


def keep_session(request: ConsoleRequest) -> None:
    """Let the session at hand outlive a change of password or second factor, under a new key."""
    request.user.refresh_from_db(fields=["password", "second_factor_at"])
    update_session_auth_hash(request, request.user)


def note_proof(request: ConsoleRequest) -> None:
    """Let the session at hand count as proven, under a new key."""
    request.session[PROVEN_AT] = time.time()
    request.session.cycle_key()
    request.actor = actor_for_account(
        request.user,
        door=request.actor.door,
        address=request.actor.address,
        is_proven=True,
    )


def agent_of(request: HttpRequest) -> str:
    """Return what the program says it is."""
    return storable(request.headers.get("User-Agent", ""))[:LONGEST_AGENT]
