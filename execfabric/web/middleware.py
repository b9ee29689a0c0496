from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from execfabric.core.request_context import request_id_scope

logger = structlog.get_logger(__name__)


class RequestIdMiddleware:
    """Gives each request an id, in its answer, its log lines, its audit events and its tasks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        with request_id_scope(request.headers.get("X-Request-ID", "")) as request_id:
            request.request_id = request_id  # type: ignore[attr-defined]
            response = self.get_response(request)
            response["X-Request-ID"] = request_id
            logger.info(
                "request",
                method=request.method,
                host=request.META.get("HTTP_HOST", "")[:100],
                path=request.path[:200],
                status=response.status_code,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )
            return response
