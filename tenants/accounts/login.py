"""Proving who somebody is, for page and API alike: the password, and a code where one is set up."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth import authenticate, user_login_failed
from django.core.cache import cache
from django.http import HttpRequest

from execfabric.core.actor import Actor, Door
from execfabric.web.requests import ConsoleRequest

from .actors import actor_for_account, client_address
from .lockout import is_known
from .models import Account
from .second_factor.services import Factor, use_code

MOST_WRONG_CODES = 20
"""Of one account, from all addresses but those it logged in from; the password comes first."""
WRONG_CODES_S = 15 * 60


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a username, a password and a code proved."""

    username: str
    account: Account | None
    """Who it is, once all is proven."""
    locked_out: bool
    actor: Actor
    """Who is logging in once that is proven, else nobody."""
    factor: Factor = Factor.NONE
    awaits_code: Account | None = None
    """Whose password was right, where a code has to follow."""
    wants_code: bool = False
    """Whether it was the code that decided."""


def prove(
    request: ConsoleRequest, username: str, password: str, *, door: Door, code: str = ""
) -> Attempt:
    """Check credentials in the current schema.

    Runs outside the transaction of the login action, so that a failed attempt is counted even
    though the action is undone.
    """
    found = authenticate(request, username=username, password=password)
    locked_out = bool(getattr(request, "axes_locked_out", False))
    account = found if isinstance(found, Account) and not locked_out else None
    if account is None:
        return _failed(request, username, door, locked_out)
    if account.second_factor_at is None:
        return _succeeded(request, account, username, door)
    if code:
        return prove_code(request, account, code, door=door)
    actor = Actor.anonymous(door=door, address=client_address(request))
    return Attempt(username, None, False, actor, awaits_code=account)


def prove_code(request: ConsoleRequest, account: Account, code: str, *, door: Door) -> Attempt:
    """Check the code of somebody whose password was right.

    A wrong one counts as a wrong password does, for username and address, and besides for the
    account alone, unless it logged in from there before. A right one is used up.
    """
    credentials = {"username": account.username}
    wrong_codes = f"wrong-codes:{account.pk}:{counted_username(request, credentials)}"
    locked_out = not AxesProxyHandler.is_allowed(request, credentials) or (
        cache.get(wrong_codes, 0) >= MOST_WRONG_CODES and not is_known(request, credentials)
    )
    if locked_out:
        return _failed(request, account.username, door, locked_out=True, wants_code=True)
    factor = use_code(account, code)
    if factor is not Factor.NONE:
        return _succeeded(request, account, account.username, door, factor=factor)
    if not is_known(request, credentials) and not cache.add(wrong_codes, 1, timeout=WRONG_CODES_S):
        with suppress(ValueError):  # It ended in between.
            cache.incr(wrong_codes)
    user_login_failed.send(sender=__name__, credentials=credentials, request=request)
    return _failed(request, account.username, door, locked_out=False, wants_code=True)


def _succeeded(
    request: ConsoleRequest,
    account: Account,
    username: str,
    door: Door,
    *,
    factor: Factor = Factor.NONE,
) -> Attempt:
    actor = actor_for_account(account, door=door, address=client_address(request))
    wants_code = factor is not Factor.NONE
    return Attempt(username, account, False, actor, factor, wants_code=wants_code)


def _failed(
    request: ConsoleRequest,
    username: str,
    door: Door,
    locked_out: bool,
    *,
    wants_code: bool = False,
) -> Attempt:
    actor = Actor.anonymous(door=door, address=client_address(request))
    return Attempt(username, None, locked_out, actor, wants_code=wants_code)


def counted_username(_request: HttpRequest, credentials: Mapping[str, Any] | None) -> str:
    """Return the name under which axes counts failures: one for every spelling of a username.

    Accounts are found whatever the case, so no spelling may start a count of its own.
    """
    text = unicodedata.normalize("NFKC", str((credentials or {}).get("username") or ""))
    # Upper case first: a dotless i folds to an i by that way only.
    return text.strip().upper().casefold()
