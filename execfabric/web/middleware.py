from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from execfabric.core.request_context import request_id_scope

from .views import bad_request

logger = structlog.get_logger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Gives each request an id, in its answer, its log lines, its audit events and its tasks."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        proposed, agent = (request.headers.get(name, "") for name in ("X-Request-ID", "User-Agent"))
        with request_id_scope(proposed, agent=agent) as request_id:
            request.request_id = request_id  # type: ignore[attr-defined]
            response = self.get_response(request)
            response["X-Request-ID"] = request_id
            logger.info(
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


def _route(request: HttpRequest) -> str:
    """Return the pattern of the address, which has no part of a link's secret in it.

    Of an address that is none of ours only the first part: it may be such a link, mistyped.
    """
    if request.resolver_match is not None:
        return f"/{request.resolver_match.route}"[:200]
    first, slash, rest = request.path.lstrip("/").partition("/")
    return f"/{first}{slash}{'…' if rest else ''}"[:200]
