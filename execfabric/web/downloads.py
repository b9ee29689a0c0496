"""Answers with files that users, authors or scripts made. None of them ever acts as a page."""

from __future__ import annotations

from typing import IO

from django.http import FileResponse

from execfabric.web.security import CSP_HEADER, UNTRUSTED_FILE_POLICY

UNKNOWN_TYPE = "application/octet-stream"


def send_file(
    content: IO[bytes], *, name: str, size_bytes: int, shown_as: str = ""
) -> FileResponse:
    """Answer with content as an attachment called by the last part of name.

    With a media type in shown_as it is shown in the page, which must have made sure that this is
    the type of an image and nothing else.
    """
    response = FileResponse(
        content,
        as_attachment=not shown_as,
        filename=name.rsplit("/", 1)[-1],
        content_type=shown_as or UNKNOWN_TYPE,
    )
    response["Content-Length"] = str(size_bytes)
    response[CSP_HEADER] = UNTRUSTED_FILE_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    return response
