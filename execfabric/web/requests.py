"""Requests as the middleware and the authentication leave them, for the type checker."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from execfabric.core.actor import Actor


class ConsoleRequest(HttpRequest):
    """A request of a known host: somebody's, or nobody's (an anonymous actor)."""

    actor: Actor
    tenant: Any
    """tenants.registry.models.Tenant, a floor above this one."""
    user: Any
    """tenants.accounts.models.Account when logged in, else Django's AnonymousUser."""


class ApiRequest(Request):
    """A request of the API, authenticated by its bearer token where the view asks for one."""

    actor: Actor
    user: Any
    auth: Any
    _request: ConsoleRequest
