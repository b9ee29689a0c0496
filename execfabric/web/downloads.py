"""Answers with files that users, authors or scripts made. None of them ever acts as a page."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import IO

from django.http import FileResponse, StreamingHttpResponse

from execfabric.web.security import CSP_HEADER, FRAMED_FILE_POLICY, UNTRUSTED_FILE_POLICY

UNKNOWN_TYPE = "application/octet-stream"
PIECE_BYTES = 256 * 1024

Entry = tuple[str, int, Callable[[], AbstractContextManager[IO[bytes]]]]
"""Name in the archive, size in bytes, and what opens the file."""


def send_file(
    content: IO[bytes], *, name: str, size_bytes: int, shown_as: str = "", framed: bool = False
) -> FileResponse:
    """Answer with content as an attachment called by the last part of name.

    With a media type in shown_as it is shown in the page, which must have made sure that this is
    the type of an image and nothing else; or of a PDF, which is framed: browsers show it with a
    viewer of their own, which does not work in a sandbox.
    """
    response = FileResponse(
        content,
        as_attachment=not shown_as,
        filename=name.rsplit("/", 1)[-1],
        content_type=shown_as or UNKNOWN_TYPE,
    )
    response["Content-Length"] = str(size_bytes)
    response[CSP_HEADER] = FRAMED_FILE_POLICY if framed else UNTRUSTED_FILE_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    if framed:
        response["X-Frame-Options"] = "SAMEORIGIN"
    return response


def send_archive(
    entries: Iterable[Entry], *, name: str, made_at: datetime
) -> StreamingHttpResponse:
    """Answer with a ZIP file of entries, made while it is sent: nothing of it is kept."""
    response = StreamingHttpResponse(_archive(entries, made_at), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response[CSP_HEADER] = UNTRUSTED_FILE_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    return response


class _Pipe:
    """What the archive is written to; taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None: ...

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _archive(entries: Iterable[Entry], made_at: datetime) -> Iterator[bytes]:
    pipe = _Pipe()
    at = made_at.timetuple()[:6]
    with zipfile.ZipFile(pipe, "w", compresslevel=zlib.Z_BEST_SPEED) as archive:  # type: ignore[call-overload]  # it only writes
        for name, size_bytes, opened in entries:
            entry = zipfile.ZipInfo(name, at)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            entry.file_size = size_bytes
            with opened() as content, archive.open(entry, "w") as target:
                while piece := content.read(PIECE_BYTES):
                    target.write(piece)
                    yield pipe.take()
    yield pipe.take()
