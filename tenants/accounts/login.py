"""Proving credentials, for page and API alike."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth import authenticate

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
