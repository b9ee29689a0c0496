"""Asking a host for a page as its visitors do, without leaving the process."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from io import BytesIO

from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.urls import get_urlconf, set_urlconf
from django_tenants.utils import get_public_schema_name, schema_context


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    duration_ms: int


def ask_host(host: str, path: str) -> Answer:
    """Return what an anonymous GET of path on host is answered.

    The request goes through the same middleware, host look-up, schema and view as one from outside;
    what stands in front of the platform, such as a proxy or the name server, it does not prove.
    """
    scheme = "https" if settings.HTTPS else "http"
    request = WSGIRequest(
        {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "HTTP_HOST": host,
            "HTTP_X_FORWARDED_PROTO": scheme,
            "SERVER_NAME": host,
            "SERVER_PORT": "443" if settings.HTTPS else "80",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": scheme,
            "wsgi.input": BytesIO(),
        }
    )
    urlconf, started = get_urlconf(), time.perf_counter()
    with schema_context(get_public_schema_name()):  # And back to the schema at hand.
        try:
            response = _handler().get_response(request)
        finally:
            set_urlconf(urlconf)
    # Not closed: that would end the request at hand, with its connection to the database.
    return Answer(response.status_code, round((time.perf_counter() - started) * 1000))


@functools.cache
def _handler() -> BaseHandler:
    handler = BaseHandler()
    handler.load_middleware()
    return handler
