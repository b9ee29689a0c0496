"""Security headers of every response."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase, ResponseHeaders

CSP_HEADER = "Content-Security-Policy"

CONTENT_SECURITY_POLICY: dict[str, str] = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}

UNTRUSTED_FILE_POLICY = "default-src 'none'; sandbox"
"""For files that users or scripts made: no scripts, no forms, not our origin."""

FRAMED_FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""The same for a PDF in a frame of our page: it is sent as nothing else, and holds no page."""

_PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "browsing-topics",
        "camera",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "payment",
        "usb",
    )
)

_FIXED_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": _PERMISSIONS_POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def policy_text(**changes: str) -> str:
    """Return the console's policy as a header value.

    A change names a directive with underscores: ``policy_text(frame_src="https://bi.example")``.
    """
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    policy = {**CONTENT_SECURITY_POLICY, **named}
    return "; ".join(f"{name} {value}" for name, value in policy.items())


class SecurityHeadersMiddleware:
    """Adds the headers; one that a view has set itself is left alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        headers = {CSP_HEADER: policy_text(), **_FIXED_HEADERS}
        # As a response keeps them, which checks each one's text whenever it is set.
        self.headers = ResponseHeaders(headers)._store

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        kept = response.headers._store
        for name, header in self.headers.items():
            kept.setdefault(name, header)
        return response
