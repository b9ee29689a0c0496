"""Logging in and out by page; who is an administrator and who is not."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client

from execfabric.core.models import AuditEvent
from execfabric.core.roles import Role
from tenants.accounts.actors import roles_of
from tenants.accounts.models import Account, RoleAssignment
from tests.conftest import PASSWORD


def browser(host="acme.localhost", **options):
    return Client(headers={"host": host}, SERVER_NAME=host, **options)


def log_in(client, username="oscar", password=PASSWORD, path="/login/", **extra):
    return client.post(path, {"username": username, "password": password}, **extra)


def test_after_the_login_comes_the_page_that_was_asked_for(acme):
    client = browser()
    asked = client.get("/executions/")

    answer = log_in(client, path=asked["Location"])

    assert (answer.status_code, answer["Location"]) == (302, "/executions/")
    assert client.get("/executions/").status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "http://globex.localhost/", "javascript:x"],
)
def test_a_login_never_leads_to_another_host(acme, elsewhere):
    answer = log_in(browser(), path=f"/login/?next={elsewhere}")

    assert answer["Location"] == "/"


def test_a_wrong_password_is_refused_on_the_page_and_in_the_trail(acme):
    answer = log_in(browser(), password="wrong")

    assert answer.status_code == 401
    assert "wrong" in answer.content.decode()
    event = AuditEvent.objects.get(code="accounts.session.open")
    assert (event.outcome, event.details["username"]) == ("refused", "oscar")


def test_the_same_username_in_two_tenants_is_two_people(acme, globex):
    connection.set_tenant(globex)
    oscar = Account.objects.get(username="oscar")
    oscar.set_password("another secret here")
    oscar.save()
    connection.set_schema_to_public()

    assert log_in(browser("globex.localhost")).status_code == 401
    assert log_in(browser("acme.localhost")).status_code == 302


def test_a_session_of_one_host_is_void_on_every_other(acme, globex):
    client = browser()
    log_in(client)
    session = client.cookies["execfabric_session"].value

    for host in ("globex.localhost", "localhost", "admin.localhost"):
        stranger = browser(host)
        stranger.cookies["execfabric_session"] = session
        page = stranger.get("/platform/tenants/" if host.startswith("admin") else "/skills/")
        assert (page.status_code, "login" in page["Location"]) == (302, True), host


def test_the_cookie_is_for_this_host_alone_and_not_for_scripts(acme):
    cookie = log_in(browser()).cookies["execfabric_session"]

    assert (cookie["domain"], cookie["httponly"], cookie["samesite"]) == ("", True, "Lax")


def test_a_login_gets_a_new_session_key(acme):
    client = browser()
    client.get("/login/")
    before = client.session.session_key

    log_in(client)

    assert client.cookies["execfabric_session"].value != before


def test_logging_out_ends_it_and_needs_a_post(acme):
    client = browser()
    log_in(client)

    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").status_code == 302
    assert client.get("/skills/").status_code == 302


def test_a_foreign_form_cannot_log_anybody_in(acme):
    assert log_in(browser(enforce_csrf_checks=True)).status_code == 403


class TestWhoIsAnAdministrator:
    """By explicit marker or configured name (T6), never by an id or a role of a tenant."""

    def test_the_marker_makes_one_in_the_public_domain_only(self, platform, acme):
        connection.set_tenant(platform)
        assert roles_of(Account.objects.get(username="sam")) == {Role.PLATFORM_ADMIN}
        connection.set_tenant(acme)
        marked = Account(username="mallory", is_platform_admin=True)
        marked.save()
        assert roles_of(marked) == frozenset()

    def test_a_configured_username_does_too(self, platform, settings):
        account = Account.objects.create(username="rita")
        assert roles_of(account) == frozenset()

        settings.ADMIN_USERNAMES = frozenset({"rita"})

        assert roles_of(account) == {Role.PLATFORM_ADMIN}

    def test_the_configured_username_means_nothing_in_a_tenant(self, acme, settings):
        settings.ADMIN_USERNAMES = frozenset({"victor"})

        assert roles_of(Account.objects.get(username="victor")) == {Role.VIEWER}

    def test_the_first_account_is_nobody_by_being_the_first(self, platform):
        Account.objects.filter(username="sam").update(is_platform_admin=False)

        assert roles_of(Account.objects.order_by("pk").first()) == frozenset()

    def test_a_role_assigned_in_the_public_schema_counts_for_nothing(self, platform):
        account = Account.objects.create(username="eve")
        RoleAssignment.objects.create(account=account, role=Role.OWNER)

        assert roles_of(account) == frozenset()

    def test_an_inactive_account_holds_no_role(self, acme):
        account = Account.objects.get(username="olivia")
        account.is_active = False

        assert roles_of(account) == frozenset()


@pytest.mark.parametrize("twin", ["OSCAR", "oſcar", "ſ"])
def test_no_two_accounts_answer_to_one_name(acme, twin):
    from django.db import IntegrityError, transaction

    Account.objects.create(username="s")
    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.create(username=twin)
