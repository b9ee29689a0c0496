from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from execfabric.core.actor import Actor, Door
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView, is_htmx

from .actors import actor_for_account, client_address, counts_as_proof, lacks_second_factor
from .models import Account
from .sessions.services import SEEN_EVERY, touch_session
from .sessions.store import PROVEN_AT, STARTED_AT


class ActorMiddleware:
    """Gives every request its ``actor``; the database is asked only when somebody looks."""

    def __init__(self, get_response: Callable[[ConsoleRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: ConsoleRequest) -> HttpResponse:
        request.actor = cast(Actor, SimpleLazyObject(lambda: _actor(request)))
        return self.get_response(request)


class SecondFactorMiddleware:
    """Leads a super-admin who must have a second factor and has none to where it is set up."""

    def __init__(self, get_response: Callable[[ConsoleRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: ConsoleRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: ConsoleRequest, view: Any, _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        page = getattr(view, "view_class", None)
        if page is None or not issubclass(page, ConsoleView) or not request.tenant.is_platform:
            return None
        if request.resolver_match is None or request.resolver_match.namespace == "accounts":
            return None
        if isinstance(request.user, Account) and lacks_second_factor(request.user):
            return redirect("accounts:second-factor")
        return None


def _actor(request: ConsoleRequest) -> Actor:
    address = client_address(request)
    if not isinstance(getattr(request, "user", None), Account):
        return Actor.anonymous(door=Door.PAGE, address=address)
    _note_use(request)
    return actor_for_account(
        request.user,
        door=Door.PAGE,
        address=address,
        is_proven=counts_as_proof(request.session.get(PROVEN_AT, 0)),
    )


def _note_use(request: ConsoleRequest) -> None:
    """Keep the session from its idle time-out. A page that refreshes itself is nobody's use."""
    session, now = request.session, timezone.now()
    seen_at = getattr(session, "last_seen_at", None)
    refreshes = is_htmx(request) and request.method == "GET"
    if seen_at is None or refreshes or now - seen_at < SEEN_EVERY:
        return
    started_at = datetime.fromtimestamp(session.get(STARTED_AT, now.timestamp()), UTC)
    touch_session(str(session.session_key), started_at=started_at, seen_at=now)
