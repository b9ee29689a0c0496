"""Bounds on what a request may send, checked before anything of it is stored."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import StopUpload, TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponse

from .views import API_PREFIX, bears_token, error_page, is_logged_in

NO_LENGTH = "Send the request with its length (Content-Length), not in chunks."
PIECE_BYTES = 65_536
SWEEP_EVERY_S = 3600.0
ABANDONED_AFTER_S = 6 * 3600.0
"""An upload nothing was added to for so long belongs to a process that was killed."""
_swept_at = -SWEEP_EVERY_S
"""On the monotonic clock; of this process."""


class CheckedUpload(TemporaryUploadedFile):
    """An upload on disk that was measured while it came in: it need not be read again."""

    sha256: str = ""

    def __init__(self, name: Any, content_type: Any, charset: Any, extra: Any) -> None:
        # Closed, and with it deleted, by Django at the end of the request.
        file: Any = NamedTemporaryFile(suffix=".upload", dir=incoming_folder())  # noqa: SIM115
        UploadedFile.__init__(self, file, name, content_type, 0, charset, extra)


class InPieces:
    """A body that is read in pieces where lines are asked for.

    Django reads what is left of a refused form by lines, and one may be as long as the whole body.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, *size: int) -> bytes:
        return bytes(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self.read(min([PIECE_BYTES, *(each for each in size if each >= 0)]))

    def close(self) -> None:
        self._stream.close()


class BodyLimitMiddleware:
    """Refuses a body by its length before it is read; nobody sends much without having logged in.

    A bearer token is not looked up here: the API does so before it reads a body (but a short one of
    somebody who came a moment ago), and reads none anywhere else.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            # Django would take the body for empty, and miss every field in the answer.
            return error_page(request, HTTPStatus.LENGTH_REQUIRED, message=NO_LENGTH)
        length = content_length(request)
        if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE and length > _most(request):
            return error_page(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        request._stream = InPieces(request._stream)  # type: ignore[assignment]
        return self.get_response(request)


class BoundedUploadHandler(TemporaryFileUploadHandler):
    """Streams uploads to disk, and their digest along; stops what grows beyond the settings.

    They lie on the disk of the stored files, so that storing one moves it there.
    """

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self.received_together = 0
        self.refused = ""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        if time.monotonic() - _swept_at > SWEEP_EVERY_S:
            sweep_incoming_folder()
        super(TemporaryFileUploadHandler, self).new_file(*args, **kwargs)
        self.file = CheckedUpload(
            self.file_name, self.content_type, self.charset, self.content_type_extra
        )
        self.digest = hashlib.sha256()
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.received += len(raw_data)
        self.received_together += len(raw_data)
        if self.received > settings.UPLOAD_BYTES:
            self._refuse(f"A file may have {settings.UPLOAD_BYTES} bytes at most.")
        if self.received_together > settings.REQUEST_BYTES:
            self._refuse(f"Files may have {settings.REQUEST_BYTES} bytes together.")
        self.digest.update(raw_data)
        super().receive_data_chunk(raw_data, start)

    def _refuse(self, why: str) -> NoReturn:
        """Store no more of this request, and delete what was stored.

        The rest of it, which its length bounds, is read and forgotten: a client that is still
        sending when the connection ends would not read the answer.
        """
        self.refused = why
        raise StopUpload(connection_reset=False)

    def upload_complete(self) -> None:
        """Raises RequestDataTooBig where something was refused: now somebody hears of it."""
        if self.refused:
            raise RequestDataTooBig(self.refused)

    def file_complete(self, file_size: int) -> UploadedFile[Any] | None:
        complete = super().file_complete(file_size)
        if isinstance(complete, CheckedUpload):
            complete.sha256 = self.digest.hexdigest()
        return complete


def incoming_folder() -> Path:
    """Return the folder of uploads that are still coming in; other users cannot enter it."""
    folder = Path(settings.UPLOAD_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def sweep_incoming_folder() -> None:
    """Delete what killed processes of this host left of uploads."""
    global _swept_at
    _swept_at = time.monotonic()
    oldest = time.time() - ABANDONED_AFTER_S
    for left in incoming_folder().iterdir():
        with suppress(OSError):  # Another process swept it, or stored it, just now.
            if left.stat().st_mtime < oldest:
                left.unlink()


def _most(request: HttpRequest) -> int:
    """Return how many bytes this request may send; asks for its session only."""
    is_api = request.path.startswith(API_PREFIX)
    known = bears_token(request) if is_api else is_logged_in(request)
    return int(settings.REQUEST_BYTES if known else settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def content_length(request: HttpRequest) -> int:
    """Return how many bytes of body are announced; 0 where none are, or not in a number."""
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0  # Django reads no body of such a request.
