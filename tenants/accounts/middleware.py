from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from execfabric.core.actor import Actor, Door

from .actors import actor_for_account, client_address
from .models import Account


class ActorMiddleware:
    """Gives every request its ``actor``; the database is asked only when somebody looks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = SimpleLazyObject(lambda: _actor(request))  # type: ignore[attr-defined]
        return self.get_response(request)


def _actor(request: HttpRequest) -> Actor:
    address = client_address(request)
    if isinstance(request.user, Account):
        return actor_for_account(request.user, door=Door.PAGE, address=address)
    return Actor.anonymous(door=Door.PAGE, address=address)
