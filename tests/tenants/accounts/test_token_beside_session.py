"""What comes to the API with a token is whom the token says, whatever cookies are sent along."""

from __future__ import annotations

import pytest


@pytest.fixture
def both(acme, person):
    """A browser that is logged in as olivia and sends the token of oscar."""
    olivia, oscar = person("olivia"), person("oscar")
    olivia.browser.defaults["HTTP_AUTHORIZATION"] = f"Bearer {oscar.token}"
    return olivia.browser


def test_the_token_counts(both):
    assert both.get("/api/v1/me").json()["username"] == "oscar"


@pytest.mark.parametrize("said", ["Bearer", "Bearer x y", "Bearer nonsense", "Basic b2xpdmlh", "x"])
def test_without_a_good_one_the_session_does_not(both, said):
    both.defaults["HTTP_AUTHORIZATION"] = said

    for path in ("/api/v1/me", "/api/v1/executions"):
        answer = both.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_pages_know_the_session_alone(both):
    assert "olivia" in both.get("/", follow=True).content.decode()


@pytest.mark.parametrize("path", ["/api/v1/schema/", "/api/v1/docs/", "/api/v1/nothing"])
def test_what_needs_no_login_is_answered_as_without(both, path):
    with_token = both.get(path)
    del both.defaults["HTTP_AUTHORIZATION"]

    assert with_token.status_code == both.get(path).status_code
