"""Cookies of one host, which no other host and no plain HTTP can set for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import PASSWORD
from tests.tenants.accounts.test_pages import browser

PRINTED = """
import json
from django.conf import settings
kinds = ("SESSION", "CSRF")
print(json.dumps({
    **{f"{kind}_COOKIE_{word}": getattr(settings, f"{kind}_COOKIE_{word}")
       for kind in kinds for word in ("NAME", "SECURE", "PATH", "DOMAIN")},
    "MESSAGE_COOKIE_NAME": settings.MESSAGE_COOKIE_NAME,
}))
"""
NAMES = ("SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "MESSAGE_COOKIE_NAME")


def cookie_settings(*, https: bool) -> dict[str, object]:
    """Return what Django's settings say of cookies, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PRINTED],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "execfabric.settings",
            "EXECFABRIC_HTTPS": str(https),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_by_https_their_names_bind_them_to_the_host():
    """What RFC 6265bis asks of the prefix, or a browser throws the cookie away."""
    said = cookie_settings(https=True)

    assert all(str(said[name]).startswith("__Host-execfabric_") for name in NAMES)
    for kind in ("SESSION", "CSRF"):
        parts = [said[f"{kind}_COOKIE_{word}"] for word in ("SECURE", "PATH", "DOMAIN")]
        assert parts == [True, "/", None]


def test_by_http_on_the_own_machine_they_have_no_prefix():
    said = cookie_settings(https=False)

    assert not any(str(said[name]).startswith("__") for name in NAMES)
    assert said["SESSION_COOKIE_SECURE"] is False


@pytest.fixture
def by_https(settings):
    for name, value in cookie_settings(https=True).items():
        setattr(settings, name, value)


def test_all_that_a_browser_gets_by_https_keeps_to_the_prefix(acme, by_https):
    client = browser()
    got = dict(client.get("/login/", secure=True).cookies)
    got |= client.post("/login/", {"username": "oscar", "password": PASSWORD}, secure=True).cookies
    got |= client.post("/security/sessions/revoke-others/", secure=True).cookies

    assert set(got) == {
        "__Host-execfabric_session",
        "__Host-execfabric_csrf",
        "__Host-execfabric_messages",
    }
    for cookie in got.values():
        assert (cookie["path"], cookie["domain"], cookie["secure"]) == ("/", "", True)

    shown = client.get("/security/", secure=True)
    assert shown.status_code == 200
    deleted = shown.cookies["__Host-execfabric_messages"]
    assert (deleted.value, deleted["path"], deleted["secure"]) == ("", "/", True)
