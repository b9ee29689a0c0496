"""Own sessions and tokens: time-outs, the page that lists them, and their end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from execfabric.core.errors import NotPermitted
from execfabric.core.models import AuditEvent
from tenants.accounts.models import ApiToken, Session
from tenants.accounts.services import change_password
from tests.tenants.accounts.test_pages import browser, log_in

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def oscar(acme, person):
    return person("oscar")


def seen(*, started: timedelta, last: timedelta) -> None:
    """Make every session one that began and was seen so long ago."""
    now = timezone.now()
    Session.objects.update(started_at=now - started, last_seen_at=now - last)


class TestTimeOuts:
    def test_nobody_heard_of_it_for_too_long(self, acme, settings):
        client = browser()
        log_in(client)
        seen(started=timedelta(hours=3), last=timedelta(seconds=settings.SESSION_IDLE_S - 9))
        assert client.get("/skills/").status_code == 200
        seen(started=timedelta(hours=3), last=timedelta(seconds=settings.SESSION_IDLE_S + 1))

        assert client.get("/skills/").status_code == 302

    def test_it_ends_in_any_case(self, acme, settings):
        client = browser()
        log_in(client)
        seen(started=timedelta(seconds=settings.SESSION_COOKIE_AGE + 1), last=timedelta(0))

        assert client.get("/skills/").status_code == 302

    def test_use_keeps_it(self, acme):
        client = browser()
        log_in(client)
        seen(started=timedelta(hours=3), last=timedelta(minutes=90))

        client.get("/skills/")

        assert timezone.now() - Session.objects.get().last_seen_at < timedelta(minutes=1)

    def test_a_page_that_refreshes_itself_is_no_use(self, acme):
        client = browser()
        log_in(client)
        seen(started=timedelta(hours=3), last=timedelta(minutes=90))

        client.get("/executions/", headers={"HX-Request": "true"})

        assert timezone.now() - Session.objects.get().last_seen_at > timedelta(minutes=89)

    def test_what_is_over_is_deleted_at_the_next_login(self, acme):
        log_in(browser())
        Session.objects.update(expire_date=timezone.now() - timedelta(days=1))

        log_in(browser(), username="dana")

        assert [one.account.username for one in Session.objects.all()] == ["dana"]


class TestThePage:
    def test_it_lists_own_sessions_and_tokens_only(self, acme, person):
        client = browser()
        log_in(client, headers={"User-Agent": FIREFOX})
        person("dana")

        page = client.get("/security/").content.decode()

        assert "Firefox on Linux" in page
        assert page.count('tag">this one') == 1
        assert "127.0.0.1" in page
        assert page.count('data-label="Last seen"') == 1
        assert "Last used" not in page

    def test_no_key_of_a_session_stands_on_it(self, oscar):
        page = oscar.browser.get("/security/").content.decode()

        assert oscar.browser.session.session_key not in page
        assert oscar.token not in page

    def test_it_is_there_on_the_admin_host(self, platform, person):
        sam = person("sam")

        assert 'tag">this one' in sam.browser.get("/platform/security/").content.decode()


class TestRevoking:
    def test_one_session_at_once(self, oscar, person):
        other = person("oscar")
        key = other.browser.session.session_key
        handle = Session(session_key=key).handle

        oscar.browser.post(f"/security/sessions/{handle}/revoke/")

        assert other.browser.get("/skills/").status_code == 302
        assert oscar.browser.get("/skills/").status_code == 200
        event = AuditEvent.objects.get(code="accounts.session.revoke")
        assert key not in str(event.details)

    def test_all_others_at_once(self, oscar, person):
        others = [person("oscar"), person("oscar")]
        stranger = person("dana")

        oscar.browser.post("/security/sessions/revoke-others/")

        assert [each.browser.get("/skills/").status_code for each in others] == [302, 302]
        assert oscar.browser.get("/skills/").status_code == 200
        assert stranger.browser.get("/skills/").status_code == 200
        key = oscar.browser.session.session_key
        assert key not in str(list(AuditEvent.objects.values_list("details", flat=True)))

    def test_a_token_at_once(self, oscar):
        handle = ApiToken.objects.get(user=oscar.account).handle

        oscar.browser.post(f"/security/tokens/{handle}/revoke/")

        assert oscar.api.get("/api/v1/me").status_code == 401

    def test_a_token_is_named_whole(self, oscar):
        handle = ApiToken.objects.get(user=oscar.account).handle

        assert oscar.browser.post(f"/security/tokens/{handle[:3]}/revoke/").status_code == 404
        assert oscar.api.get("/api/v1/me").status_code == 200

    def test_all_tokens_at_once(self, oscar, person):
        others, stranger = [oscar, person("oscar")], person("dana")

        oscar.browser.post("/security/tokens/revoke-all/")

        assert [each.api.get("/api/v1/me").status_code for each in others] == [401, 401]
        assert stranger.api.get("/api/v1/me").status_code == 200

    def test_those_of_somebody_else_are_not_there(self, oscar, person):
        dana = person("dana")
        session = Session(session_key=dana.browser.session.session_key).handle
        token = ApiToken.objects.get(user=dana.account).handle

        for path in (f"sessions/{session}", f"tokens/{token}"):
            assert oscar.browser.post(f"/security/{path}/revoke/").status_code == 404
        assert dana.browser.get("/skills/").status_code == 200
        assert dana.api.get("/api/v1/me").status_code == 200

    def test_a_request_that_goes_on_cannot_bring_a_session_back(self, oscar):
        from django.contrib.sessions.backends.base import UpdateError

        held = oscar.browser.session
        held.get("anything")
        Session.objects.all().delete()
        held["anything"] = 1

        with pytest.raises(UpdateError):
            held.save()


class TestAnotherPassword:
    FORM = {"password": "quite another password", "repeated": "quite another password"}

    def test_it_ends_all_that_the_old_one_had_opened_but_the_session_at_hand(self, oscar, person):
        other = person("oscar")

        answer = oscar.browser.post("/security/password/", self.FORM)

        assert answer["Location"] == "/security/"
        assert oscar.browser.get("/skills/").status_code == 200
        assert other.browser.get("/skills/").status_code == 302
        assert [each.api.get("/api/v1/me").status_code for each in (oscar, other)] == [401, 401]
        assert log_in(browser(), "oscar", password=self.FORM["password"]).status_code == 302
        event = AuditEvent.objects.get(code="accounts.password.change")
        assert "another" not in str(event.details)

    def test_it_takes_the_old_one(self, oscar, settings):
        settings.PROOF_S = -1

        assert oscar.browser.post("/security/password/", self.FORM).status_code == 403

    @pytest.mark.parametrize(
        ("password", "repeated"), [("too short", "too short"), (FORM["password"], "not the same")]
    )
    def test_one_that_cannot_be_is_told(self, oscar, password, repeated):
        form = {"password": password, "repeated": repeated}

        assert oscar.browser.post("/security/password/", form).status_code == 422
        assert oscar.api.get("/api/v1/me").status_code == 200

    def test_nobody_changes_that_of_somebody_else(self, oscar, person):
        with pytest.raises(NotPermitted):
            change_password(
                actor=oscar.actor, account=person("dana").account, password="x", session_token=""
            )


def test_a_token_says_where_it_is_used_and_when(acme):
    answer = browser().post(
        "/api/v1/auth/login",
        {"username": "oscar", "password": "correct horse battery"},
        "application/json",
        headers={"User-Agent": "execfabric-cli/1.2 (Linux)"},
    )
    token = ApiToken.objects.get()
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(hours=1))

    browser().get("/api/v1/me", headers={"Authorization": f"Bearer {answer.json()['token']}"})

    assert (token.agent, token.address) == ("execfabric-cli/1.2 (Linux)", "127.0.0.1")
    assert timezone.now() - ApiToken.objects.get().last_used_at < timedelta(minutes=1)
