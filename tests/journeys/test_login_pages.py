"""Logging in, setting a password by link, logging out, and the free edition's front page."""

from __future__ import annotations

import pytest
from django.test import Client

from execfabric.core.actor import Actor
from execfabric.core.roles import Role
from tenants.accounts.services import create_account, set_password_path
from tests.conftest import PASSWORD


@pytest.fixture
def browser(db):
    def make(host: str) -> Client:
        return Client(headers={"host": host}, SERVER_NAME=host)

    return make


def log_in(client: Client, username: str, password: str = PASSWORD, path: str = "/login/"):
    return client.post(path, {"username": username, "password": password})


def text_of(response) -> str:
    return response.content.decode()


def test_the_login_page_names_the_workspace_and_no_menu(browser):
    page = text_of(browser("acme.localhost").get("/login/"))

    assert "to Acme" in page
    assert "sidebar" not in page


def test_logging_in_leads_to_the_page_that_was_asked_for(browser):
    oscar = browser("acme.localhost")
    asked = oscar.get("/executions/")
    assert asked.url == "/login/?next=/executions/"

    response = log_in(oscar, "oscar", path=asked.url)

    assert response.url == "/executions/"
    assert oscar.get("/executions/").status_code == 200


def test_a_wrong_password_is_said_above_the_form(browser):
    response = log_in(browser("acme.localhost"), "oscar", "wrong")

    assert response.status_code == 401
    assert "The username or the password is wrong." in text_of(response)


def test_empty_fields_are_said_beside_them(browser):
    response = log_in(browser("acme.localhost"), "", "")

    assert response.status_code == 422
    assert 'id="id_username_error"' in text_of(response)


def test_nobody_is_led_to_another_host(browser):
    response = log_in(browser("acme.localhost"), "oscar", path="/login/?next=//evil.example/")

    assert response.url == "/"


def test_logging_out_ends_the_session_and_leads_home(browser):
    oscar = browser("acme.localhost")
    log_in(oscar, "oscar")

    assert oscar.post("/logout/").url == "/"
    assert oscar.get("/skills/").status_code == 302


def test_super_admins_log_in_on_the_admin_host(browser):
    sam = browser("admin.localhost")
    assert "to Governance" in text_of(sam.get("/platform/login/"))

    response = log_in(sam, "sam", path="/platform/login/")

    assert response.url == "/platform/"
    assert sam.get("/platform/").status_code == 200


@pytest.mark.parametrize("host", ["localhost", "free.localhost"])
def test_the_free_edition_has_a_front_page_with_a_login(browser, host):
    page = text_of(browser(host).get("/"))

    assert "ExecFabric turns scripts into skills" in page
    assert 'href="/login/"' in page


def test_a_link_that_does_not_work_says_so(browser):
    response = browser("acme.localhost").get("/set-password/MQ/nonsense/")

    assert response.status_code == 400
    assert "Ask for a new one" in text_of(response)


@pytest.fixture
def link(acme):
    """The set-password path of an account that has no password yet."""
    account = create_account(
        actor=Actor.system("tests"), username="nina", roles=frozenset({Role.VIEWER})
    )
    return set_password_path(account)


def test_after_setting_the_password_the_login_page_says_so(browser, link):
    new = {"password": "a quite long secret", "repeated": "a quite long secret"}

    response = browser("acme.localhost").post(link, new, follow=True)

    assert response.redirect_chain == [("/login/", 302)]
    assert "Your password is set. Log in." in text_of(response)


@pytest.mark.parametrize(("password", "repeated"), [("one thing here", "another"), ("short",) * 2])
def test_a_refused_password_still_says_for_which_account_it_is(browser, link, password, repeated):
    client = browser("acme.localhost")
    assert "For the account nina in Acme." in text_of(client.get(link))

    response = client.post(link, {"password": password, "repeated": repeated})

    assert response.status_code == 422
    assert "For the account nina in Acme." in text_of(response)


def test_a_form_sent_to_a_link_that_does_not_work_says_so(browser):
    response = browser("acme.localhost").post("/set-password/MQ/nonsense/", {"password": "x"})

    assert response.status_code == 400
    assert "Ask for a new one" in text_of(response)
