from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from execfabric.web.middleware import NoNulMiddleware, RequestIdMiddleware


def logged(request: HttpRequest, caplog: pytest.LogCaptureFixture) -> str:
    with caplog.at_level("INFO"):
        RequestIdMiddleware(lambda _request: HttpResponse())(request)
    return caplog.text


def test_a_request_is_logged_by_the_pattern_of_its_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = RequestFactory().get("/set-password/MQ/5ec4e7/")
    request.resolver_match = SimpleNamespace(route="set-password/<str:key>/<str:token>/")  # type: ignore[assignment]

    text = logged(request, caplog)

    assert "5ec4e7" not in text
    assert "/set-password/<str:key>/<str:token>/" in text


def test_of_an_address_that_is_none_only_the_first_part_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = logged(RequestFactory().get("/set-pasword/MQ/5ec4e7"), caplog)

    assert "5ec4e7" not in text
    assert "'/set-pasword/…'" in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/skills/?q=%00", 400),
        ("/skills/%00/", 400),
        ("/api/v1/x?a=1&tag=a%00b", 400),
        ("/?q=%2500", 200),
    ],
)
def test_no_address_has_a_nul_in_it(path: str, status: int) -> None:
    request = RequestFactory().get(path)

    answer = NoNulMiddleware(lambda _request: HttpResponse())(request)

    assert answer.status_code == status
    if path.startswith("/api/") and status == 400:
        assert b'"bad_request"' in answer.content
