"""Own sessions and API tokens: seen, ended one by one or all others at once."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import NotFound, NotPermitted

from ..models import Account, ApiToken, Session
from .store import ends_at

SEEN_EVERY = timedelta(minutes=1)
"""How exact it is noted when a session or token was used last."""


@action(
    "accounts.session.revoke",
    title="End one of one's own sessions",
    roles=frozenset(),
    target="account",
    open_to_all=True,
)
def revoke_session(*, actor: Actor, account: Account, handle: str) -> None:
    """End the session that Session.handle names, at once. Raises NotFound."""
    require_own(actor, account)
    end_session(account, handle)


@action(
    "accounts.session.revoke_others",
    title="End all other own sessions",
    roles=frozenset(),
    target="account",
    open_to_all=True,
)
def revoke_other_sessions(*, actor: Actor, account: Account, session_token: str) -> int:
    """End all but the session with the key session_token; return how many."""
    require_own(actor, account)
    return end_sessions(account, session_token=session_token)


@action(
    "accounts.token.revoke_one",
    title="Revoke one of one's own API tokens",
    roles=frozenset(),
    target="account",
    open_to_all=True,
)
def revoke_own_token(*, actor: Actor, account: Account, handle: str) -> None:
    """Make the token useless at once that ApiToken.handle names. Raises NotFound."""
    require_own(actor, account)
    for token in ApiToken.objects.filter(user=account):
        if token.handle == handle:
            token.delete()
            return
    raise NotFound("There is no such token.")


@action(
    "accounts.token.revoke_all",
    title="Revoke all own API tokens",
    roles=frozenset(),
    target="account",
    open_to_all=True,
)
def revoke_own_tokens(*, actor: Actor, account: Account) -> int:
    """Make all tokens of account useless at once; return how many."""
    require_own(actor, account)
    return end_tokens(account)


def require_own(actor: Actor, account: Account) -> None:
    if actor.user_id is None or actor.user_id != account.pk:
        raise NotPermitted("This is for one's own account only.")


def end_session(account: Account, handle: str) -> None:
    """End one session of account, as part of an action. Raises NotFound."""
    for session in Session.objects.filter(account=account):
        if session.handle == handle:
            session.delete()
            return
    raise NotFound("There is no such session.")


def end_sessions(account: Account, *, session_token: str = "") -> int:
    """End the sessions of account, but the one with that key, as part of an action."""
    return int(Session.objects.filter(account=account).exclude(pk=session_token).delete()[0])


def end_tokens(account: Account) -> int:
    """Revoke the tokens of account, as part of an action."""
    return int(ApiToken.objects.filter(user=account).delete()[0])


def touch_session(session_key: str, *, started_at: datetime, seen_at: datetime) -> None:
    """Note that a session is in use; nothing else of it is written, so nothing gets lost."""
    Session.objects.filter(pk=session_key).update(
        last_seen_at=seen_at, expire_date=ends_at(started_at, seen_at=seen_at)
    )


def touch_token(token: ApiToken, *, seen_at: datetime) -> None:
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=seen_at)


def forget_ended_sessions() -> None:
    """Delete what time has ended, in the current schema."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    ApiToken.objects.filter(Q(expiry__lt=now)).delete()
