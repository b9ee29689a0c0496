"""Bounds on what a request may send, checked before anything of it is stored."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponse

from .views import API_PREFIX, error_page, is_logged_in


class BodyLimitMiddleware:
    """Refuses a body by its length before it is read; nobody sends much without having logged in.

    A bearer token is not looked up here: the API does so before it reads a body, and reads none
    anywhere else.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = _content_length(request)
        if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE and length > _most(request):
            return error_page(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self.get_response(request)


class BoundedUploadHandler(TemporaryFileUploadHandler):
    """Streams uploads to disk; stops a file, or files together, that grow beyond the settings."""

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self.received_together = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.received += len(raw_data)
        self.received_together += len(raw_data)
        if self.received > settings.UPLOAD_BYTES:
            raise RequestDataTooBig(f"A file may have {settings.UPLOAD_BYTES} bytes at most.")
        if self.received_together > settings.REQUEST_BYTES:
            raise RequestDataTooBig(f"Files may have {settings.REQUEST_BYTES} bytes together.")
        super().receive_data_chunk(raw_data, start)


def _most(request: HttpRequest) -> int:
    """Return how many bytes this request may send; asks for its session only."""
    is_api = request.path.startswith(API_PREFIX)
    known = bool(request.headers.get("Authorization")) if is_api else is_logged_in(request)
    return int(settings.REQUEST_BYTES if known else settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def _content_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0  # Django reads no body of such a request.
