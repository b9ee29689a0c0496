"""Super-admins manage each other: invited, disabled, helped, never all of them gone."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import Conflict, InvalidInput, NotPermitted, ProofNeeded
from execfabric.core.models import AuditEvent
from execfabric.core.roles import Role
from governance.admins import services
from tenants.accounts.actors import roles_of
from tenants.accounts.models import Account, ApiToken, Session
from tenants.accounts.services import create_account
from tests.conftest import PASSWORD
from tests.tenants.accounts.second import turn_on
from tests.tenants.accounts.test_pages import browser, log_in

LIST = "/platform/administrators/"


@pytest.fixture
def sam(platform, person):
    return person("sam")


@pytest.fixture
def rita(platform, person):
    create_account(
        actor=Actor.system("tests", door=Door.COMMAND),
        username="rita",
        roles=frozenset(),
        password=PASSWORD,
        is_platform_admin=True,
    )
    return person("rita")


def test_an_invitation_leads_to_an_account_that_governs(sam):
    page = sam.browser.post(f"{LIST}invite/", {"username": "rita", "display_name": "Rita"})
    link = re.search(r"http://admin\.localhost:8000(/platform/set-password/[^<\s]+/)", _text(page))
    client = browser("admin.localhost")
    client.post(link[1], {"password": PASSWORD, "repeated": PASSWORD})

    answer = log_in(client, "rita", path="/platform/login/")

    assert page.status_code == 201
    assert page["Cache-Control"] == "no-store"
    assert answer["Location"] == "/platform/"
    assert client.get("/platform/tenants/").status_code == 200
    events = AuditEvent.objects.filter(target_label="rita").values_list("code", flat=True)
    assert list(events.filter(code__startswith="admins.")) == ["admins.super_admin.invite"]


def test_the_list_says_who_is_invited_disabled_and_has_a_second_factor(sam, rita):
    services.invite_super_admin(actor=sam.actor, username="ines")
    services.disable_account(actor=sam.actor, account=rita.account, reason="Left.")
    turn_on(sam)
    sam.browser.force_login(sam.account, backend="django.contrib.auth.backends.ModelBackend")

    page = _text(sam.browser.get(LIST))

    for text in ("ines", "invited", "rita", "disabled", "sam", ">On<"):
        assert text in page


def test_the_list_costs_the_same_for_one_and_for_many(sam, django_assert_max_num_queries):
    for number in range(10):
        services.invite_super_admin(actor=sam.actor, username=f"number-{number}")

    with django_assert_max_num_queries(10):
        assert sam.browser.get(LIST).status_code == 200


def test_a_disabled_one_is_out_at_once(sam, rita):
    services.disable_account(actor=sam.actor, account=rita.account, reason="Left the company.")

    assert rita.browser.get(LIST).status_code == 302
    assert rita.api.get("/api/v1/me").status_code == 401
    assert log_in(browser("admin.localhost"), "rita", path="/platform/login/").status_code == 401
    assert not Session.objects.filter(account=rita.account).exists()
    services.enable_account(actor=sam.actor, account=rita.account)
    assert log_in(browser("admin.localhost"), "rita", path="/platform/login/").status_code == 302


def test_nobody_disables_the_own_account(sam, rita):
    with pytest.raises(NotPermitted):
        services.disable_account(actor=sam.actor, account=sam.account, reason="Why not.")


def test_the_last_one_who_can_log_in_stays(sam):
    invited = services.invite_super_admin(actor=sam.actor, username="rita")  # No password yet.
    other = replace(sam.actor, username="rita", user_id=invited.pk)

    with pytest.raises(Conflict, match="last super-admin"):
        services.disable_account(actor=other, account=sam.account, reason="Alone.")

    event = AuditEvent.objects.get(code="admins.account.disable")
    assert (event.outcome, Account.objects.get(username="sam").is_active) == ("refused", True)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 2001])
def test_it_takes_a_reason(sam, rita, reason):
    with pytest.raises(InvalidInput):
        services.disable_account(actor=sam.actor, account=rita.account, reason=reason)


def test_each_dangerous_act_asks_for_a_fresh_proof(sam, rita):
    stale = replace(sam.actor, is_proven=False)
    acts = [
        lambda: services.invite_super_admin(actor=stale, username="ines"),
        lambda: services.disable_account(actor=stale, account=rita.account, reason="Left."),
        lambda: services.enable_account(actor=stale, account=rita.account),
        lambda: services.renew_link(actor=stale, account=rita.account),
        lambda: services.invite_tenant_admin(actor=stale, username="tina", tenants=[]),
        lambda: services.change_tenant_admin(actor=stale, account=rita.account, tenants=[]),
    ]
    for act in acts:
        with pytest.raises(ProofNeeded):
            act()


def test_a_new_link_is_for_those_without_a_password_only(sam, rita):
    invited = services.invite_super_admin(actor=sam.actor, username="ines")

    page = sam.browser.post(f"{LIST}{invited.pk}/link/")

    assert "/platform/set-password/" in _text(page)
    with pytest.raises(Conflict):
        services.renew_link(actor=sam.actor, account=rita.account)


def test_another_one_resets_a_lost_second_factor(sam, rita, person):
    turn_on(rita)
    page = _text(sam.browser.get(f"{LIST}{rita.account.pk}/"))
    assert "Reset second factor" in page

    sam.browser.post(
        f"{LIST}{rita.account.pk}/second-factor/reset/", {"reason": "Lost; we met in person."}
    )

    rita.account.refresh_from_db()
    assert rita.account.second_factor_at is None
    event = AuditEvent.objects.get(code="accounts.second_factor.reset")
    assert (event.actor_name, event.details["reason"]) == ("sam", "Lost; we met in person.")


def test_sessions_of_another_one_are_listed_and_ended(sam, rita, person):
    more = person("rita")
    handle = Session(session_key=rita.browser.session.session_key).handle
    page = f"{LIST}{rita.account.pk}/"
    assert _text(sam.browser.get(page)).count('data-label="Last seen"') == 2

    sam.browser.post(f"{page}sessions/{handle}/end/")
    assert [rita.browser.get(LIST).status_code, more.browser.get(LIST).status_code] == [302, 200]
    sam.browser.post(f"{page}sessions/end/")

    assert more.browser.get(LIST).status_code == 302
    assert not ApiToken.objects.filter(user=rita.account).exists()


def test_a_configured_name_is_one_too_and_counts_as_one_who_is_left(sam, settings, person):
    settings.ADMIN_USERNAMES = frozenset({"carl"})
    create_account(
        actor=Actor.system("tests", door=Door.COMMAND),
        username="carl",
        roles=frozenset(),
        password=PASSWORD,
    )
    carl = person("carl")

    services.disable_account(actor=carl.actor, account=sam.account, reason="Left.")

    assert roles_of(carl.account) == {Role.PLATFORM_ADMIN}
    assert "the operator's configuration" in _text(carl.browser.get(f"{LIST}{carl.account.pk}/"))


def test_all_super_admins_are_locked_so_that_two_cannot_disable_each_other_at_once(sam, rita):
    with CaptureQueriesContext(connection) as captured:
        services.disable_account(actor=sam.actor, account=rita.account, reason="A quarrel.")

    locks = [one["sql"] for one in captured if "FOR UPDATE" in one["sql"]]
    assert '"is_platform_admin"' in locks[0].partition("WHERE")[2]
    assert len(locks) == 2


def _text(answer):
    return answer.content.decode()
