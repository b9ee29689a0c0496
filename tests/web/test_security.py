from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from execfabric.web.security import (
    CSP_HEADER,
    UNTRUSTED_FILE_POLICY,
    SecurityHeadersMiddleware,
)


def answer(response: HttpResponse) -> HttpResponse:
    def view(request: HttpRequest) -> HttpResponse:
        return response

    answered = SecurityHeadersMiddleware(view)(HttpRequest())
    assert isinstance(answered, HttpResponse)
    return answered


def directives(response: HttpResponse) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in response[CSP_HEADER].split(";"))
    return {name: value for name, _, value in parts}


def test_the_policy_allows_no_inline_code_and_no_foreign_host() -> None:
    policy = directives(answer(HttpResponse()))

    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "unsafe" not in " ".join(policy.values())


def test_every_answer_carries_the_other_headers() -> None:
    response = answer(HttpResponse(status=500))

    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["X-Frame-Options"] == "DENY"
    assert "camera=()" in response["Permissions-Policy"]


def test_a_stricter_policy_of_a_view_is_kept() -> None:
    response = HttpResponse()
    response[CSP_HEADER] = UNTRUSTED_FILE_POLICY

    assert answer(response)[CSP_HEADER] == UNTRUSTED_FILE_POLICY
    assert "sandbox" in UNTRUSTED_FILE_POLICY
