from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from django.contrib.auth import middleware as authentication
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponse

from execfabric.core.log_lines import say
from execfabric.core.request_context import request_id_scope

from .views import bad_request, bears_token

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Gives each request an id, in its answer, its log lines, its audit events and its tasks."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        said = request.META.get
        proposed, agent = said("HTTP_X_REQUEST_ID", ""), said("HTTP_USER_AGENT", "")
        with request_id_scope(proposed, agent=agent) as request_id:
            request.request_id = request_id  # type: ignore[attr-defined]
            response = self.get_response(request)
            response["X-Request-ID"] = request_id
            say(
                logger,
                "request",
                method=request.method,
                host=request.META.get("HTTP_HOST", "")[:100],
                route=_route(request),
                status=response.status_code,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )
            return response


class NoNulMiddleware:
    """Refuses an address with a NUL in it: no text in the database can hold or equal one."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        query = request.META.get("QUERY_STRING", "")
        if "%00" in query or "\0" in query or "\0" in request.path:
            return bad_request(request)
        return self.get_response(request)


class _PagesOnly:
    """Leaves alone what comes to the API with a token: nothing there looks at a session."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        if bears_token(request):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]


class SessionMiddleware(_PagesOnly, sessions.SessionMiddleware):
    pass


class AuthenticationMiddleware(_PagesOnly, authentication.AuthenticationMiddleware):
    pass


class MessageMiddleware(_PagesOnly, messages.MessageMiddleware):
    pass


def _route(request: HttpRequest) -> str:
    """Return the pattern of the address, which has no part of a link's secret in it.

    Of an address that is none of ours only the first part: it may be such a link, mistyped.
    """
    if request.resolver_match is not None:
        return f"/{request.resolver_match.route}"[:200]
    first, slash, rest = request.path.lstrip("/").partition("/")
    return f"/{first}{slash}{'…' if rest else ''}"[:200]
