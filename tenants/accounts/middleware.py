from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django.http import HttpResponse
from django.utils.functional import SimpleLazyObject

from execfabric.core.actor import Actor, Door
from execfabric.web.requests import ConsoleRequest

from .actors import actor_for_account, client_address
from .models import Account


class ActorMiddleware:
    """Gives every request its ``actor``; the database is asked only when somebody looks."""

    def __init__(self, get_response: Callable[[ConsoleRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: ConsoleRequest) -> HttpResponse:
        request.actor = cast(Actor, SimpleLazyObject(lambda: _actor(request)))
        return self.get_response(request)


def _actor(request: ConsoleRequest) -> Actor:
    address = client_address(request)
    if isinstance(request.user, Account):
        return actor_for_account(request.user, door=Door.PAGE, address=address)
    return Actor.anonymous(door=Door.PAGE, address=address)
