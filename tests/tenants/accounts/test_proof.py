"""Dangerous acts ask for the password again, whatever the door."""

from __future__ import annotations

import time

import pytest

from execfabric.core.actions import ACTIONS, PROVEN, action
from execfabric.core.actor import Actor, Door
from execfabric.core.errors import ProofNeeded
from execfabric.core.models import AuditEvent
from execfabric.core.permissions import PERMISSIONS
from execfabric.core.roles import EVERYONE, SYSTEM, Role
from skills.executions.approvals.models import ApprovalRules
from tenants.accounts.actors import actor_for_account
from tenants.accounts.models import Account, ApiToken
from tenants.accounts.sessions.store import PROVEN_AT
from tests.conftest import PASSWORD
from tests.tenants.accounts.second import code_of, newcomer, turn_on
from tests.tenants.accounts.test_pages import browser, log_in

RULES = "/approvals/rules/"
FORM = {
    "expires_after_h": "7",
    "remind_after_h": "4",
    **{f"{risk}_approvals": "0" for risk in ("low", "medium", "high")},
}


@pytest.fixture
def olivia(acme, person):
    """The owner, who logged in an hour ago."""
    made = newcomer(person, Role.OWNER)
    forget_proof(made)
    return made


def forget_proof(someone):
    session = someone.browser.session
    session[PROVEN_AT] = time.time() - 3600
    session.save()
    from datetime import timedelta

    from django.utils import timezone

    ApiToken.objects.filter(user=someone.account).update(
        proven_at=timezone.now() - timedelta(hours=1)
    )


def is_changed():
    return ApprovalRules.objects.filter(expires_after_h=7).exists()


class TestPages:
    def test_the_act_waits_for_the_password_and_then_goes_on_by_itself(self, olivia):
        asked = olivia.browser.post(RULES, FORM)
        page = asked.content.decode()
        assert asked.status_code == 403
        assert "Set the rules for approvals" in page
        assert 'name="expires_after_h" value="7"' in page
        assert not is_changed()

        done = send_again(olivia.browser, {**FORM, "proof_password": PASSWORD})

        assert done.status_code == 302
        assert is_changed()
        event = AuditEvent.objects.get(code="accounts.session.prove")
        assert event.outcome == "done"

    def test_a_wrong_password_changes_nothing_and_is_recorded(self, olivia):
        answer = send_again(olivia.browser, {**FORM, "proof_password": "wrong"})

        assert answer.status_code == 401
        assert 'name="expires_after_h" value="7"' in answer.content.decode()
        assert not is_changed()
        event = AuditEvent.objects.get(code="accounts.session.prove")
        assert (event.outcome, event.actor_name) == ("refused", olivia.account.username)

    def test_it_is_remembered_for_some_minutes(self, olivia, settings):
        send_again(olivia.browser, {**FORM, "proof_password": PASSWORD})

        assert olivia.browser.post(RULES, FORM).status_code == 302
        settings.PROOF_S = -1
        assert olivia.browser.post(RULES, FORM).status_code == 403

    def test_the_session_gets_another_key(self, olivia):
        before = olivia.browser.session.session_key

        send_again(olivia.browser, {**FORM, "proof_password": PASSWORD})

        assert olivia.browser.session.session_key != before

    def test_a_login_counts_as_one(self, acme, person):
        client = browser()
        log_in(client, newcomer(person, Role.OWNER).account.username)

        assert client.post(RULES, FORM).status_code == 302

    def test_with_a_second_factor_the_code_is_asked_for_too(self, olivia, person):
        turn_on(olivia)
        olivia = person(olivia.account.username)
        forget_proof(olivia)
        both = {**FORM, "proof_password": PASSWORD, "proof_code": code_of(olivia.account)}

        assert "proof_code" in olivia.browser.post(RULES, FORM).content.decode()
        only_password = send_again(olivia.browser, {**FORM, "proof_password": PASSWORD})
        assert only_password.status_code == 422
        assert not is_changed()
        assert send_again(olivia.browser, both).status_code == 302
        assert is_changed()

    def test_wrong_ones_lock_out_as_at_the_login(self, olivia, settings):
        settings.AXES_FAILURE_LIMIT = 2

        wrong = {**FORM, "proof_password": "wrong"}
        answers = [send_again(olivia.browser, wrong).status_code for _ in range(2)]

        assert answers == [401, 429]
        assert send_again(olivia.browser, {**FORM, "proof_password": PASSWORD}).status_code == 429
        assert not is_changed()

    def test_a_part_of_a_page_leads_to_the_page_that_asks(self, olivia):
        answer = olivia.browser.post(
            RULES,
            FORM,
            headers={"HX-Request": "true", "HX-Current-URL": f"http://acme.localhost{RULES}"},
        )

        target = answer["HX-Redirect"]
        assert target.startswith("/security/prove/?next=%2Fapprovals%2Frules%2F")
        proven = send_again(olivia.browser, {"proof_password": PASSWORD}, path=target)
        assert proven["Location"] == RULES

    @pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "x"])
    def test_it_never_leads_to_another_host_nor_says_what_an_address_says(self, olivia, elsewhere):
        path = f"/security/prove/?next={elsewhere}&for=Your+account+is+closed"

        assert "account is closed" not in olivia.browser.get(path).content.decode()
        proven = send_again(olivia.browser, {"proof_password": PASSWORD}, path=path)
        assert proven["Location"] == "/"

    def test_somebody_without_a_login_proves_nothing(self, acme):
        """Files behind a link are open to all, so that a password is sent there in vain."""
        path = "/executions/artifacts/6f1c1f9e-5a0e-4a53-9c6e-0d8c1c2b3a4d/linked/x"

        answer = send_again(browser(), {"proof_password": PASSWORD}, path=path)

        assert answer.status_code == 405

    def test_the_page_is_not_kept_by_the_browser(self, olivia):
        assert olivia.browser.post(RULES, FORM)["Cache-Control"] == "no-store"


class TestTokens:
    BODY = {"expires_after_h": 7, "remind_after_h": 4, "demands": {}}

    def test_one_of_an_hour_ago_is_not_enough(self, olivia):
        answer = olivia.api.put("/api/v1/approval-rules", self.BODY, format="json")

        assert (answer.status_code, answer.json()["code"]) == (403, "proof_needed")
        assert not is_changed()

    def test_until_its_owner_proves_again_who_they_are(self, olivia):
        wrong = olivia.api.post("/api/v1/auth/prove", {"password": "wrong"}, format="json")
        right = olivia.api.post("/api/v1/auth/prove", {"password": PASSWORD}, format="json")

        assert (wrong.status_code, right.status_code) == (401, 200)
        answer = olivia.api.put("/api/v1/approval-rules", self.BODY, format="json")
        assert answer.json().get("code") != "proof_needed"

    def test_the_proof_of_one_token_is_none_of_another(self, olivia, person):
        other = person(olivia.account.username)
        forget_proof(other)  # and that of the first
        olivia.api.post("/api/v1/auth/prove", {"password": PASSWORD}, format="json")

        answer = other.api.put("/api/v1/approval-rules", self.BODY, format="json")

        assert answer.json()["code"] == "proof_needed"


def test_what_lasts_or_spreads_asks_and_what_only_takes_away_does_not():
    """Decision 0030 says why."""
    assert {
        "hot_update.submission.approve",
        "http_access.grant.give",
        "http_access.write.allow",
        "registry.tenant.open",
        "registry.tenant.resume",
        "core.audit.retain",
        "core.audit.request_archive",
    } <= PROVEN
    assert not PROVEN & {
        "hot_update.submission.reject",
        "hot_update.submission.resume",
        "hot_update.version.recall",
        "http_access.grant.revoke",
        "http_access.write.revoke",
        "http_access.resource.disable",
        "admins.session.end_all",
        "tenant_data.deletion.cancel",
    }


class TestTheAction:
    @pytest.fixture(scope="class")
    def dangerous(self):
        @action("tests.danger.do", title="Do it", roles=EVERYONE | SYSTEM, needs_proof=True)
        def do_it(*, actor: Actor) -> None: ...

        yield do_it
        del ACTIONS["tests.danger.do"], PERMISSIONS["tests.danger.do"]
        PROVEN.discard("tests.danger.do")

    def test_nothing_is_recorded_of_an_act_that_waits_for_a_proof(self, acme, dangerous):
        actor = actor_for_account(Account.objects.get(username="oscar"), door=Door.PAGE)

        with pytest.raises(ProofNeeded):
            dangerous(actor=actor)

        assert not AuditEvent.objects.filter(code="tests.danger.do").exists()

    def test_as_a_part_of_another_act_that_one_decides(self, acme, dangerous):
        @action("tests.danger.whole", title="Do all of it", roles=EVERYONE)
        def do_all(*, actor: Actor) -> None:
            dangerous(actor=actor)

        try:
            do_all(actor=actor_for_account(Account.objects.get(username="oscar"), door=Door.PAGE))
        finally:
            del ACTIONS["tests.danger.whole"], PERMISSIONS["tests.danger.whole"]

        assert AuditEvent.objects.filter(code__startswith="tests.danger.").count() == 2

    def test_the_platform_itself_needs_none(self, acme, dangerous):
        dangerous(actor=Actor.system("tests"))

        assert AuditEvent.objects.get(code="tests.danger.do").outcome == "done"


def send_again(client, fields, path=RULES):
    """Send what the page that asks would send: never a multipart form."""
    from urllib.parse import urlencode

    return client.post(path, urlencode(fields), "application/x-www-form-urlencoded")
