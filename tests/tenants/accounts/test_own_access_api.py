"""Own sessions and tokens, for programs."""

from __future__ import annotations

import pytest

from execfabric.core.models import AuditEvent

SESSIONS, TOKENS = "/api/v1/sessions", "/api/v1/tokens"


@pytest.fixture
def oscar(acme, person):
    return person("oscar")


def handles(api, address) -> list[str]:
    answer = api.get(address)
    assert answer.status_code == 200
    return [row["handle"] for row in answer.json()["results"]]


def test_a_session_is_seen_and_ended(oscar):
    (handle,) = handles(oscar.api, SESSIONS)

    assert oscar.api.delete(f"{SESSIONS}/{handle}").status_code == 204

    assert handles(oscar.api, SESSIONS) == []
    assert oscar.browser.get("/skills/").status_code == 302
    assert AuditEvent.objects.filter(code="accounts.session.revoke").count() == 1


def test_all_sessions_are_ended_and_tokens_stay(oscar, person):
    person("oscar")

    assert oscar.api.delete(SESSIONS).json() == {"ended": 2}
    assert handles(oscar.api, SESSIONS) == []


def test_a_token_is_seen_and_made_void(oscar, person):
    other = person("oscar")
    rows = oscar.api.get(TOKENS).json()["results"]
    assert sorted(row["is_this_one"] for row in rows) == [False, True]
    (handle,) = [row["handle"] for row in rows if not row["is_this_one"]]
    assert oscar.token not in str(rows)

    assert oscar.api.delete(f"{TOKENS}/{handle}").status_code == 204

    assert other.api.get("/api/v1/me").status_code == 401
    assert oscar.api.delete(TOKENS).json() == {"ended": 1}
    assert oscar.api.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("address", [SESSIONS, TOKENS])
def test_what_others_have_is_not_there(oscar, person, address):
    olivia = person("olivia")
    (handle,) = handles(olivia.api, address)

    assert handle not in handles(oscar.api, address)
    assert oscar.api.delete(f"{address}/{handle}").status_code == 404
    assert handles(olivia.api, address) == [handle]


def test_a_whitelisted_tenant_admin_has_them_too(platform, person):
    from tenants.accounts.models import Account

    account = Account(username="wanda")
    account.set_password("correct horse battery")
    account.save()

    assert len(handles(person("wanda").api, TOKENS)) == 1
