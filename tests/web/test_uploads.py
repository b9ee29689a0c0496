"""How much a request may send, and that too much is refused before it is read."""

from __future__ import annotations

import hashlib
import io
import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from execfabric.web import uploads
from execfabric.web.uploads import (
    PIECE_BYTES,
    BodyLimitMiddleware,
    BoundedUploadHandler,
    CheckedUpload,
)
from tests.web.conftest import MakeRequest, Somebody

SMALL = 2_500_000


class Unread:
    """A body that must not be read."""

    def read(self, *_size: int) -> bytes:
        raise AssertionError("The body was read.")


def answer(request: HttpRequest, length: object) -> int:
    request.META["CONTENT_LENGTH"] = str(length)
    request._stream = Unread()  # type: ignore[attr-defined]
    return BodyLimitMiddleware(lambda _request: HttpResponse())(request).status_code


@pytest.fixture(autouse=True)
def limits(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.REQUEST_BYTES = SMALL, 10 * SMALL


@pytest.mark.parametrize(("length", "status"), [(SMALL, 200), (SMALL + 1, 413), ("x", 200)])
def test_who_is_not_logged_in_sends_little(
    make_request: MakeRequest, length: object, status: int
) -> None:
    assert answer(make_request("/login/", "post", logged_in=False), length) == status


@pytest.mark.parametrize(("length", "status"), [(10 * SMALL, 200), (10 * SMALL + 1, 413)])
def test_who_is_logged_in_sends_files(make_request: MakeRequest, length: int, status: int) -> None:
    assert answer(make_request("/skills/x/", "post"), length) == status


def test_a_body_in_chunks_is_refused_instead_of_taken_for_empty(make_request: MakeRequest) -> None:
    request = make_request("/api/v1/files", "post", **{"Transfer-Encoding": "chunked"})
    request.META.pop("CONTENT_LENGTH", None)

    refused = BodyLimitMiddleware(lambda _request: HttpResponse())(request)

    assert refused.status_code == 411
    assert b"Content-Length" in refused.content


def test_a_token_counts_for_the_api_only(make_request: MakeRequest) -> None:
    token = {"Authorization": "Bearer x"}
    for path, status in (("/api/v1/files", 200), ("/login/", 413)):
        request = make_request(path, "post", logged_in=False, **token)
        assert answer(request, SMALL + 1) == status
    assert answer(make_request("/api/v1/files", "post", logged_in=False), SMALL + 1) == 413


class Watched(io.BytesIO):
    """A body that knows how much of it was held in memory at a time."""

    longest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.longest = max(self.longest, len(found))
        return found


@pytest.mark.parametrize(
    ("each", "together", "named"), [(10, 100, "10"), (1_000_000, 1_500_000, "1500000")]
)
def test_what_grows_too_large_is_read_to_its_end_and_kept_nowhere(
    settings: Any, incoming: Path, each: int, together: int, named: str
) -> None:
    settings.UPLOAD_BYTES, settings.REQUEST_BYTES = each, together
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000
    files = [io.BytesIO(b"x" * 900_000) for _ in range(3)]
    form = encode_multipart(BOUNDARY, {"file": files})
    request = RequestFactory().generic("POST", "/", form, MULTIPART_CONTENT)
    request._stream = body = Watched(form)
    request.user = Somebody()

    with pytest.raises(RequestDataTooBig, match=named) as refusal:
        BodyLimitMiddleware(lambda each: HttpResponse(each.POST))(request)

    # Who is still sending reads no answer; and the refusal, which is kept, must not keep the files.
    assert body.read() == b""
    assert body.longest <= PIECE_BYTES
    assert list(incoming.iterdir()) == []
    assert refusal.value.__traceback__ is not None


@pytest.fixture
def incoming(settings: Any, tmp_path: Path) -> Path:
    settings.UPLOAD_DIR = tmp_path / "incoming"
    return tmp_path / "incoming"


def receive(*pieces: bytes, name: str = "a.csv") -> CheckedUpload:
    handler = BoundedUploadHandler(RequestFactory().post("/"))
    handler.new_file("file", name, "text/csv", None)
    for piece in pieces:
        handler.receive_data_chunk(piece, 0)
    complete = handler.file_complete(sum(map(len, pieces)))
    assert isinstance(complete, CheckedUpload)
    return complete


def test_an_upload_is_measured_while_it_comes_in_and_goes_with_the_request(incoming: Path) -> None:
    upload = receive(b"a;b\n", b"1;2\n", name="x" * 200 + "." + "y" * 200)

    assert upload.sha256 == hashlib.sha256(b"a;b\n1;2\n").hexdigest()
    assert upload.size == 8
    assert upload.read() == b"a;b\n1;2\n"
    [part] = incoming.iterdir()
    assert part.stat().st_mode & 0o077 == incoming.stat().st_mode & 0o077 == 0
    upload.close()
    assert list(incoming.iterdir()) == []


def test_what_killed_processes_left_is_swept_and_what_comes_in_is_not(incoming: Path) -> None:
    incoming.mkdir()
    left, coming = incoming / "left.upload", incoming / "coming.upload"
    for part in (left, coming):
        part.write_bytes(b"half")
    long_ago = time.time() - uploads.ABANDONED_AFTER_S - 1
    os.utime(left, (long_ago, long_ago))

    uploads.sweep_incoming_folder()

    assert list(incoming.iterdir()) == [coming]
