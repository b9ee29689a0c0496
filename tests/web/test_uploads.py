"""How much a request may send, and that too much is refused before it is read."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from execfabric.web.uploads import BodyLimitMiddleware, BoundedUploadHandler
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


def test_a_token_counts_for_the_api_only(make_request: MakeRequest) -> None:
    token = {"Authorization": "Bearer x"}
    for path, status in (("/api/v1/files", 200), ("/login/", 413)):
        request = make_request(path, "post", logged_in=False, **token)
        assert answer(request, SMALL + 1) == status
    assert answer(make_request("/api/v1/files", "post", logged_in=False), SMALL + 1) == 413


def test_files_together_are_bounded_too(settings: Any) -> None:
    settings.UPLOAD_BYTES, settings.REQUEST_BYTES = 10, 15
    request = RequestFactory().post("/")
    request.user = Somebody()
    handler = BoundedUploadHandler(request)

    with pytest.raises(RequestDataTooBig, match="15"):
        for name in ("a", "b"):
            handler.new_file(name, f"{name}.csv", "text/csv", 9)
            handler.receive_data_chunk(b"x" * 9, 0)
    handler.upload_interrupted()
