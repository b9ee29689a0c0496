"""The accounts of the admin host, for programs."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from execfabric.core.models import AuditEvent
from governance.admins.selectors import doors_of
from tenants.accounts.models import Account

BASE = "/api/v1/administrators"


@pytest.fixture
def sam(platform, person):
    return person("sam")


def invited(sam, **fields):
    answer = sam.api.post(BASE, fields, format="json")
    assert answer.status_code == 201, answer.json()
    return answer.json()


def test_a_tenant_admin_is_invited_and_gets_other_doors(sam):
    made = invited(sam, kind="tenant_admin", username="wanda", tenants=["acme"])

    assert (made["kind"], made["tenants"], made["is_invited"]) == ("tenant_admin", ["acme"], True)
    assert "/platform/set-password/" in made["set_password_url"]
    address = f"{BASE}/{made['id']}"
    changed = sam.api.put(f"{address}/tenants", {"tenants": ["globex"]}, format="json").json()
    assert changed["tenants"] == ["globex"]
    account = Account.objects.get(username="wanda")
    assert [one.name for one in doors_of(account)] == ["globex"]
    assert "set_password_url" not in sam.api.get(address).json()
    codes = set(AuditEvent.objects.values_list("code", flat=True))
    assert {"admins.tenant_admin.invite", "admins.tenant_admin.change"} <= codes


def test_a_super_admin_is_invited_disabled_and_enabled(sam):
    made = invited(sam, kind="super_admin", username="sue", email="sue@example.com")
    address = f"{BASE}/{made['id']}"

    link = sam.api.post(f"{address}/link").json()["set_password_url"]
    assert "/platform/set-password/" in link
    assert (
        sam.api.post(f"{address}/disable", {"reason": "Left."}, format="json").json()["is_active"]
        is False
    )
    assert sam.api.post(f"{address}/disable", {"reason": "Left."}, format="json").status_code == 409
    assert sam.api.post(f"{address}/enable").json()["is_active"] is True
    assert (
        sam.api.post(f"{address}/second-factor/reset", {"reason": "x"}, format="json").status_code
        == 409
    )
    names = [row["username"] for row in sam.api.get(BASE).json()["results"]]
    assert names == sorted(names)
    assert {"sam", "sue"} <= set(names)


def test_sessions_and_tokens_of_somebody_are_ended(sam, person):
    invited(sam, kind="super_admin", username="sue")
    sue = person("sue")
    assert sue.api.get("/api/v1/me").status_code == 200

    ended = sam.api.delete(f"{BASE}/{sue.account.pk}/sessions").json()["ended"]

    assert ended == 2
    assert sue.api.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"kind": "tenant_admin", "username": "wanda"}, "tenants"),
        ({"kind": "tenant_admin", "username": "wanda", "tenants": ["nowhere"]}, "tenants"),
        ({"kind": "super_admin", "username": "sue", "tenants": ["acme"]}, "tenants"),
        ({"kind": "odd", "username": "sue"}, "kind"),
        ({"kind": "super_admin", "username": "s u e"}, "username"),
    ],
)
def test_what_does_not_fit_is_told(sam, fields, wrong):
    answer = sam.api.post(BASE, fields, format="json")

    assert answer.status_code == 400
    assert wrong in answer.json()["fields"]


def test_nobody_disables_the_own_account_nor_acts_without_a_fresh_proof(sam):
    own = f"{BASE}/{sam.account.pk}"
    assert sam.api.post(f"{own}/disable", {"reason": "x"}, format="json").status_code == 403
    sam.account.auth_token_set.update(proven_at="2001-01-01T00:00:00Z")

    answer = sam.api.post(BASE, {"kind": "super_admin", "username": "sue"}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (403, "proof_needed")


def test_it_is_of_the_admin_host_only(acme, person):
    assert person("olivia").api.get(BASE).status_code == 404


def test_a_list_costs_the_same_however_long_it_is(hosts_stay_known, sam, django_assert_num_queries):
    sam.api.get(BASE)  # What is looked up once is known from here on.
    with CaptureQueriesContext(connection) as before:
        sam.api.get(BASE)
    expected = len(before)
    for name in ("wanda", "wendy", "walt"):
        invited(sam, kind="tenant_admin", username=name, tenants=["globex", "acme"])

    with django_assert_num_queries(expected):
        rows = sam.api.get(BASE).json()["results"]

    doors = {row["username"]: row["tenants"] for row in rows}
    assert doors["walt"] == ["acme", "globex"]
    assert doors["sam"] == []
