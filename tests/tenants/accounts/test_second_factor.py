"""Codes beside the password: set up, asked for, used once, limited, taken away."""

from __future__ import annotations

import re
import time

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from execfabric.core import vault
from execfabric.core.actor import Door
from execfabric.core.errors import Conflict, InvalidInput, NotPermitted, ProofNeeded
from execfabric.core.models import AuditEvent
from execfabric.core.roles import Role
from tenants.accounts.actors import roles_of
from tenants.accounts.login import prove
from tenants.accounts.models import Account, ApiToken, RecoveryCode, SecondFactor, Session
from tenants.accounts.second_factor import codes, services
from tenants.accounts.services import (
    CredentialsRefused,
    issue_token,
    set_password_by_link,
    set_password_path,
)
from tests.conftest import PASSWORD
from tests.tenants.accounts.second import code_of, newcomer, turn_on, used_code_of
from tests.tenants.accounts.test_pages import browser, log_in


@pytest.fixture
def oscar(acme, person):
    return newcomer(person, Role.OPERATOR)


def give_code(client, code):
    return client.post("/login/code/", {"code": code})


def outcome_of(code):
    event = AuditEvent.objects.filter(code=code).first()
    return event and (event.outcome, event.reason)


class TestTheCodes:
    def test_they_are_those_of_the_standard(self):
        """RFC 6238, appendix B, in six digits."""
        secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

        assert [codes.code_at(secret, t // 30) for t in (59, 1111111109, 20000000000)] == [
            "287082",
            "081804",
            "353130",
        ]

    @pytest.mark.parametrize(
        ("steps", "is_taken"), [(-2, False), (-1, True), (1, True), (2, False)]
    )
    def test_a_clock_may_be_wrong_by_half_a_minute(self, steps, is_taken):
        secret, now = codes.new_secret(), time.time()
        code = codes.code_at(secret, int(now) // 30 + steps)

        assert (codes.step_of(code, secret, now=now) is not None) == is_taken

    @pytest.mark.parametrize("text", ["", "12345", "1234567", "abcdef", "１２３４５６", "-12345"])
    def test_what_is_no_code_is_none(self, text):
        assert codes.step_of(text, codes.new_secret(), now=time.time()) is None


class TestSettingItUp:
    def test_from_the_page_to_the_recovery_codes(self, oscar):
        page = oscar.browser.post("/security/second-factor/begin/", follow=True)
        shown = page.content.decode()
        secret = re.search(r'second-factor-secret">([A-Z2-7 ]+)<', shown)[1].replace(" ", "")
        assert "data:image/svg+xml" in shown

        done = oscar.browser.post("/security/second-factor/", {"code": code_of(oscar.account)})

        assert secret == services.secret_of(SecondFactor.objects.get())
        shown_codes = re.findall(r"<code>([a-z2-7-]{19})</code>", done.content.decode())
        assert len(shown_codes) == codes.RECOVERY_CODES
        assert done["Cache-Control"] == "no-store"
        oscar.account.refresh_from_db()
        assert oscar.account.second_factor_at

    def test_a_wrong_code_does_not_turn_it_on(self, oscar):
        services.begin_second_factor(actor=oscar.actor, account=oscar.account)

        with pytest.raises(InvalidInput):
            services.confirm_second_factor(
                actor=oscar.actor, account=oscar.account, secret_code="000000", session_token=""
            )

        oscar.account.refresh_from_db()
        assert oscar.account.second_factor_at is None

    def test_it_ends_what_the_password_alone_had_opened(self, oscar, person):
        elsewhere = person(oscar.account.username)
        oscar.browser.post("/security/second-factor/begin/")

        oscar.browser.post("/security/second-factor/", {"code": code_of(oscar.account)})

        assert elsewhere.browser.get("/skills/").status_code == 302
        assert elsewhere.api.get("/api/v1/me").status_code == 401
        assert oscar.browser.get("/skills/").status_code == 200

    def test_a_secret_waits_a_quarter_of_an_hour(self, oscar):
        services.begin_second_factor(actor=oscar.actor, account=oscar.account)
        code = code_of(oscar.account)
        factor = SecondFactor.objects.get()
        factor.created_at -= services.PENDING
        factor.save()

        with pytest.raises(Conflict):
            services.confirm_second_factor(
                actor=oscar.actor, account=oscar.account, secret_code=code, session_token=""
            )

    def test_neither_secret_nor_codes_are_stored_as_they_are(self, oscar):
        made = turn_on(oscar)
        factor = SecondFactor.objects.get()

        stored = [factor.sealed, *RecoveryCode.objects.values_list("digest", flat=True)]
        trail = str(list(AuditEvent.objects.values_list("details", "reason")))
        assert services.secret_of(factor) not in "".join(stored)
        for code in made:
            assert code not in "".join(stored)
            assert code not in trail
        assert used_code_of(oscar.account) not in trail

    def test_a_secret_moved_to_another_account_is_not_readable(self, oscar, person):
        turn_on(oscar)
        dana = person("dana")
        services.begin_second_factor(actor=dana.actor, account=dana.account)
        theirs = SecondFactor.objects.get(account=oscar.account)

        SecondFactor.objects.filter(account=dana.account).update(sealed=theirs.sealed)

        with pytest.raises(vault.NotReadable):
            services.secret_of(SecondFactor.objects.get(account=dana.account))

    def test_nobody_sets_up_that_of_somebody_else(self, oscar, person):
        with pytest.raises(NotPermitted):
            services.begin_second_factor(actor=oscar.actor, account=person("dana").account)

    def test_without_a_key_nothing_is_set_up(self, oscar, settings):
        settings.CREDENTIAL_KEYS = ()

        with pytest.raises(vault.NoKey, match="EXECFABRIC_CREDENTIAL_KEYS"):
            services.begin_second_factor(actor=oscar.actor, account=oscar.account)


class TestLoggingIn:
    def test_the_password_alone_opens_nothing(self, oscar):
        turn_on(oscar)
        client = browser()

        answer = log_in(client, oscar.account.username, path="/login/?next=/executions/")

        assert answer["Location"] == "/login/code/?next=%2Fexecutions%2F"
        assert client.get("/skills/").status_code == 302
        assert not Session.objects.filter(account=oscar.account).exists()
        assert outcome_of("accounts.session.begin") == ("done", "")

    def test_with_the_code_it_does(self, oscar):
        turn_on(oscar)
        client = browser()
        asked = log_in(client, oscar.account.username, path="/login/?next=/executions/")
        before = client.cookies["execfabric_session"].value

        answer = client.post(asked["Location"], {"code": code_of(oscar.account)})

        assert answer["Location"] == "/executions/"
        assert client.get("/skills/").status_code == 200
        assert client.cookies["execfabric_session"].value != before
        event = AuditEvent.objects.get(code="accounts.session.open")
        assert (event.outcome, event.details["factor"]) == ("done", "app")

    def test_the_code_alone_leads_nowhere(self, oscar):
        turn_on(oscar)

        answer = give_code(browser(), code_of(oscar.account))

        assert answer["Location"] == "/login/"

    def test_a_code_is_taken_once(self, oscar):
        turn_on(oscar)
        code = code_of(oscar.account)
        first, second = browser(), browser()
        log_in(first, oscar.account.username)
        log_in(second, oscar.account.username)

        assert give_code(first, code).status_code == 302
        assert give_code(second, code).status_code == 401
        assert outcome_of("accounts.session.open")[0] == "refused"

    def test_the_code_that_turned_it_on_is_used_up_too(self, oscar):
        turn_on(oscar)
        client = browser()
        log_in(client, oscar.account.username)

        assert give_code(client, used_code_of(oscar.account)).status_code == 401

    def test_a_recovery_code_works_once_however_it_is_typed(self, oscar):
        code = turn_on(oscar)[0]
        first, second = browser(), browser()
        log_in(first, oscar.account.username)
        log_in(second, oscar.account.username)

        assert give_code(first, f" {code.upper().replace('-', ' ')}").status_code == 302
        assert give_code(second, code).status_code == 401
        assert "9 are left" in first.get("/skills/").content.decode()

    def test_a_password_changed_meanwhile_ends_the_wait(self, oscar):
        turn_on(oscar)
        client = browser()
        log_in(client, oscar.account.username)
        oscar.account.set_password("another one entirely")
        oscar.account.save()

        assert give_code(client, code_of(oscar.account))["Location"] == "/login/"

    def test_wrong_codes_and_wrong_passwords_count_together(self, oscar, settings):
        settings.AXES_FAILURE_LIMIT = 3
        turn_on(oscar)
        client = browser()
        log_in(client, oscar.account.username, password="wrong")
        log_in(client, oscar.account.username)

        answers = [give_code(client, "000000").status_code for _ in range(3)]

        assert answers == [401, 401, 429]
        assert give_code(client, code_of(oscar.account)).status_code == 429
        assert log_in(browser(), oscar.account.username).status_code == 429

    def test_wrong_codes_from_many_addresses_are_limited_too(self, oscar, settings):
        settings.AXES_FAILURE_LIMIT = 1000
        turn_on(oscar)
        for number in range(20):
            client = browser(REMOTE_ADDR=f"192.0.2.{number}")
            log_in(client, oscar.account.username)
            assert give_code(client, "000000").status_code == 401
        client = browser(REMOTE_ADDR="198.51.100.1")
        log_in(client, oscar.account.username)

        assert give_code(client, code_of(oscar.account)).status_code == 429

    def test_who_knows_the_password_does_not_lock_out_its_owner(self, oscar, settings):
        recovery = turn_on(oscar)
        owner = browser(REMOTE_ADDR="198.51.100.7")
        log_in(owner, oscar.account.username)
        give_code(owner, code_of(oscar.account))
        settings.AXES_FAILURE_LIMIT = 1000
        for number in range(20):
            client = browser(REMOTE_ADDR=f"203.0.113.{number}")
            log_in(client, oscar.account.username)
            give_code(client, "000000")

        owner = browser(REMOTE_ADDR="198.51.100.7")
        log_in(owner, oscar.account.username)

        assert give_code(owner, recovery[0]).status_code == 302

    def test_the_api_says_that_it_needs_a_code_and_takes_it(self, oscar):
        turn_on(oscar)
        body = {"username": oscar.account.username, "password": PASSWORD}
        host = {"HTTP_HOST": "acme.localhost"}

        def ask(**more):
            return browser().post(
                "/api/v1/auth/login", {**body, **more}, "application/json", **host
            )

        needed, wrong, right = ask(), ask(code="000000"), ask(code=code_of(oscar.account))

        assert (needed.status_code, needed.json()["code"]) == (401, "second_factor_needed")
        assert (wrong.status_code, wrong.json()["code"]) == (401, "credentials_refused")
        assert right.status_code == 200


class TestALoginThatOvertakesAChange:
    """The password was checked before the change, the session or token is opened after it."""

    @pytest.fixture
    def attempt(self, oscar):
        request = RequestFactory().post("/login/")
        return prove(request, oscar.account.username, PASSWORD, door=Door.API)

    def test_no_token_is_issued_once_a_code_is_needed(self, oscar, attempt):
        turn_on(oscar)

        with pytest.raises(CredentialsRefused):
            issue(attempt)

        assert not ApiToken.objects.filter(user=oscar.account).exists()

    def test_nor_once_the_password_is_another_one(self, oscar, attempt):
        key, token = set_password_path(oscar.account).split("/")[2:4]
        set_password_by_link(
            actor=attempt.actor, key=key, token=token, password="another one entirely"
        )

        with pytest.raises(CredentialsRefused):
            issue(attempt)

    def test_nor_to_an_account_that_was_disabled(self, oscar, attempt):
        Account.objects.filter(pk=oscar.account.pk).update(is_active=False)

        with pytest.raises(CredentialsRefused):
            issue(attempt)

    def test_the_account_is_locked_so_that_a_change_waits_for_the_token(self, oscar, attempt):
        with CaptureQueriesContext(connection) as captured:
            issue(attempt)

        statements = [one["sql"] for one in captured]
        locks = [n for n, sql in enumerate(statements) if "FOR UPDATE" in sql]
        issued = [n for n, sql in enumerate(statements) if "INSERT" in sql and "apitoken" in sql]
        assert locks
        assert locks[0] < issued[0]

    def test_a_session_that_is_opened_all_the_same_is_void(self, oscar, attempt):
        turn_on(oscar)
        client = browser()

        client.force_login(attempt.account, backend="django.contrib.auth.backends.ModelBackend")

        assert client.get("/skills/").status_code == 302

    def test_a_password_that_was_right_before_a_reset_is_asked_for_again(self, oscar, person):
        turn_on(oscar)
        client = browser()
        log_in(client, oscar.account.username)
        olivia = person("olivia")
        services.reset_second_factor(actor=olivia.actor, account=oscar.account, reason="Lost.")
        turn_on(oscar)

        assert give_code(client, code_of(oscar.account))["Location"] == "/login/"


def issue(attempt):
    return issue_token(
        actor=attempt.actor,
        username=attempt.username,
        account=attempt.account,
        locked_out=attempt.locked_out,
    )


class TestTakingItAway:
    def test_oneself(self, oscar):
        turn_on(oscar)

        services.remove_second_factor(actor=oscar.actor, account=oscar.account, session_token="")

        assert log_in(browser(), oscar.account.username)["Location"] == "/"
        assert not RecoveryCode.objects.exists()

    def test_by_page_the_session_at_hand_goes_on_and_the_others_end(self, oscar, person):
        turn_on(oscar)
        here, elsewhere = person(oscar.account.username), person(oscar.account.username)

        here.browser.post("/security/second-factor/remove/")

        assert here.browser.get("/skills/").status_code == 200
        assert elsewhere.browser.get("/skills/").status_code == 302
        assert Session.objects.filter(account=oscar.account).count() == 1

    def test_new_recovery_codes_void_the_old_ones(self, oscar):
        old = turn_on(oscar)[0]

        new = services.renew_recovery_codes(actor=oscar.actor, account=oscar.account)[0]

        assert services.use_code(oscar.account, old) is services.Factor.NONE
        assert services.use_code(oscar.account, new) is services.Factor.RECOVERY_CODE

    def test_somebody_in_charge_resets_it_and_ends_all_sessions(self, oscar, person):
        olivia = person("olivia")
        turn_on(oscar)
        oscar = person(oscar.account.username)

        services.reset_second_factor(actor=olivia.actor, account=oscar.account, reason="Lost.")

        assert oscar.browser.get("/skills/").status_code == 302
        assert not ApiToken.objects.filter(user=oscar.account).exists()
        assert log_in(browser(), oscar.account.username)["Location"] == "/"
        event = AuditEvent.objects.get(code="accounts.second_factor.reset")
        assert (event.actor_name, event.target_label) == ("olivia", oscar.account.username)

    def test_nobody_resets_the_own_one(self, oscar, acme, person):
        olivia = person("olivia")
        turn_on(olivia)

        with pytest.raises(NotPermitted):
            services.reset_second_factor(actor=olivia.actor, account=olivia.account)
        with pytest.raises(NotPermitted):
            services.reset_second_factor(actor=oscar.actor, account=olivia.account)

    def test_the_operator_resets_it_by_command(self, oscar, capsys):
        turn_on(oscar)

        call_command("reset_second_factor", "acme", oscar.account.username)

        oscar.account.refresh_from_db()
        assert oscar.account.second_factor_at is None

    def test_each_act_asks_for_a_fresh_proof(self, oscar):
        from dataclasses import replace

        turn_on(oscar)
        stale = replace(oscar.actor, is_proven=False)

        with pytest.raises(ProofNeeded):
            services.renew_recovery_codes(actor=stale, account=oscar.account)
        with pytest.raises(ProofNeeded):
            services.remove_second_factor(actor=stale, account=oscar.account, session_token="")


class TestSuperAdmins:
    @pytest.fixture
    def sam(self, platform, person, settings):
        settings.ADMIN_SECOND_FACTOR = True
        return person("sam")

    def test_where_it_is_required_one_without_it_is_nobody(self, sam):
        assert roles_of(sam.account) == frozenset()
        assert sam.api.get("/api/v1/tenants").status_code == 403

    def test_and_is_led_to_where_it_is_set_up(self, sam):
        page = sam.browser.get("/platform/tenants/")

        assert page["Location"] == "/platform/security/second-factor/"
        client = browser("admin.localhost")
        answer = log_in(client, "sam", path="/platform/login/")
        assert answer["Location"] == "/platform/security/second-factor/"

    def test_with_it_everything_is_there_and_it_stays(self, sam):
        turn_on(sam)

        assert roles_of(sam.account) == {Role.PLATFORM_ADMIN}
        with pytest.raises(NotPermitted):
            services.remove_second_factor(actor=sam.actor, account=sam.account, session_token="")

    def test_a_recovery_code_lets_one_in_on_the_admin_host_too(self, sam):
        code = turn_on(sam)[0]
        client = browser("admin.localhost")
        log_in(client, "sam", path="/platform/login/")
        client.post("/platform/login/code/", {"code": "000000"})

        answer = client.post("/platform/login/code/", {"code": code})

        assert answer["Location"] == "/platform/"
        assert "9 are left" in client.get("/platform/").content.decode()

    def test_an_account_of_a_tenant_needs_none(self, sam, acme):
        assert roles_of(Account.objects.get(username="olivia")) == {Role.OWNER}


def test_keys_are_rotated_with_those_of_credentials(oscar, settings, capsys):
    turn_on(oscar)
    secret = services.secret_of(SecondFactor.objects.get())
    new = "a new key of the operator, long enough"
    settings.CREDENTIAL_KEYS = (new, *settings.CREDENTIAL_KEYS)

    call_command("rotate_credential_keys")

    settings.CREDENTIAL_KEYS = (new,)
    assert services.secret_of(SecondFactor.objects.get()) == secret
