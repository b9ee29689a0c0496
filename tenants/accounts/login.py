"""Proving credentials, for page and API alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import authenticate
from django.http import HttpRequest

from execfabric.core.actor import Actor, Door
from execfabric.web.requests import ConsoleRequest

from .actors import actor_for_account, client_address
from .models import Account


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a username and a password proved."""

    username: str
    account: Account | None
    locked_out: bool
    actor: Actor
    """Who is logging in once that is proven, else nobody."""


def prove(request: ConsoleRequest, username: str, password: str, *, door: Door) -> Attempt:
    """Check credentials in the current schema.

    Runs outside the transaction of the login action, so that a failed attempt is counted even
    though the action is undone.
    """
    found = authenticate(request, username=username, password=password)
    locked_out = bool(getattr(request, "axes_locked_out", False))
    account = found if isinstance(found, Account) and not locked_out else None
    address = client_address(request)
    if account is None:
        actor = Actor.anonymous(door=door, address=address)
    else:
        actor = actor_for_account(account, door=door, address=address)
    return Attempt(username, account, locked_out, actor)


def counted_username(_request: HttpRequest, credentials: Mapping[str, Any] | None) -> str:
    """Return the name under which axes counts failures: one for every spelling of a username.

    Accounts are found whatever the case, so no spelling may start a count of its own.
    """
    text = unicodedata.normalize("NFKC", str((credentials or {}).get("username") or ""))
    # Upper case first: a dotless i folds to an i by that way only.
    return text.strip().upper().casefold()
