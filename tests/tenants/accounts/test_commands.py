"""What the operator does with accounts goes the way of the pages: an event, and all logins end."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from execfabric.core.models import AuditEvent
from execfabric.core.roles import Role
from tests.tenants.accounts.second import newcomer
from tests.tenants.accounts.test_pages import browser, log_in

NEW = "a password nobody guessed"


@pytest.fixture
def oscar(acme, person):
    return newcomer(person, Role.OPERATOR)


@pytest.fixture
def change(monkeypatch):
    """Return a caller of change_password that gets its password by the standard input."""

    def call(tenant: str, username: str, password: str = NEW) -> str:
        said = io.StringIO()
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        call_command("change_password", tenant, username, stdout=said)
        return said.getvalue()

    return call


def test_a_password_is_changed_with_an_event_and_every_login_ends(oscar, change):
    name = oscar.account.username

    assert "logged out everywhere" in change("acme", name)

    assert oscar.browser.get("/skills/").status_code == 302
    assert oscar.api.get("/api/v1/me").status_code == 401
    event = AuditEvent.objects.get(code="accounts.password.replace")
    assert (event.outcome, event.actor_name, event.door) == (
        "done",
        "system:change_password",
        "command",
    )
    assert event.target_label == name
    assert NEW not in str(event.details)
    assert log_in(browser(), name, NEW)["Location"] == "/"


def test_one_that_is_too_weak_changes_nothing_and_is_recorded(oscar, change):
    with pytest.raises(CommandError, match="password: This password is too short"):
        change("acme", oscar.account.username, "short1")

    assert oscar.browser.get("/skills/").status_code == 200
    assert AuditEvent.objects.get(code="accounts.password.replace").outcome == "refused"


@pytest.mark.parametrize(
    ("tenant", "username", "wrong"),
    [("nobody", "oscar", "no tenant named nobody"), ("acme", "nobody", "no account named nobody")],
)
def test_what_is_not_there_is_said(acme, change, tenant, username, wrong):
    with pytest.raises(CommandError, match=wrong):
        change(tenant, username)


def test_an_empty_password_is_none(oscar, change):
    with pytest.raises(CommandError, match="Give a password"):
        change("acme", oscar.account.username, "")


def test_an_account_of_the_admin_host_is_meant_by_its_name(platform, person, change):
    sam = person("sam")

    change("admin", "SAM")

    assert sam.api.get("/api/v1/tenants").status_code == 401
