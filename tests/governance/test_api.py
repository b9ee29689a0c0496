"""The admin host's API, and its absence everywhere else."""

from __future__ import annotations

import pytest

from execfabric.core.models import AuditEvent

TENANT = {"name": "initech", "title": "Initech", "owner": {"username": "peter"}}


pytestmark = pytest.mark.usefixtures("owner_session")


@pytest.fixture
def sam(platform, person):
    return person("sam").api


def test_opening_a_tenant_answers_with_its_url_and_link(sam):
    answer = sam.post("/api/v1/tenants", TENANT, format="json")

    assert answer.status_code == 201
    opened = answer.json()
    assert opened["url"] == "http://initech.localhost:8000/"
    assert opened["set_password_url"].startswith("http://initech.localhost:8000/set-password/")
    assert opened["domains"] == ["initech.localhost"]
    assert [t["name"] for t in sam.get("/api/v1/tenants").json()["results"]][:1] == ["initech"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Bad Name"}, "name"),
        ({"title": ""}, "title"),
        ({"owner": {}}, "owner.username"),
        ({"owner": {"username": "p", "email": "x"}}, "owner.email"),
        ({"owner": {"username": "peter", "password": "short"}}, "password"),
        ({"owner": None}, "owner"),
    ],
)
def test_bad_input_names_the_field(sam, change, field):
    answer = sam.post("/api/v1/tenants", {**TENANT, **change}, format="json")

    assert answer.status_code == 400
    assert field in answer.json()["fields"]


def test_a_taken_name_is_a_conflict(sam):
    answer = sam.post("/api/v1/tenants", {**TENANT, "name": "acme"}, format="json")

    assert answer.status_code == 409


def test_suspending_needs_a_reason_and_both_are_audited(sam):
    assert sam.post("/api/v1/tenants/acme/suspend", {}, format="json").status_code == 400

    sam.post("/api/v1/tenants/acme/suspend", {"reason": "unpaid"}, format="json")
    answer = sam.post("/api/v1/tenants/acme/resume")

    assert answer.json()["status"] == "active"
    suspended = AuditEvent.objects.get(code="registry.tenant.suspend")
    assert suspended.details["reason"] == "unpaid"


def test_resuming_an_active_tenant_is_a_conflict(sam):
    assert sam.post("/api/v1/tenants/acme/resume").status_code == 409


@pytest.mark.parametrize("path", ["tenants", "tenants/acme", "tenants/acme/suspend"])
def test_no_governance_address_exists_on_a_tenant_host(acme, person, path):
    assert person("olivia").api.get(f"/api/v1/{path}").status_code == 404


@pytest.mark.parametrize("path", ["skills", "executions", "files"])
def test_no_business_address_exists_on_the_admin_host(sam, path):
    assert sam.get(f"/api/v1/{path}").status_code == 404


def test_an_account_without_the_marker_sees_nothing(platform, person):
    from tenants.accounts.models import Account

    Account.objects.create(username="eve")
    assert person("eve").api.get("/api/v1/tenants").status_code == 403


def test_the_platform_itself_cannot_be_suspended(sam):
    answer = sam.post("/api/v1/tenants/admin/suspend", {"reason": "x"}, format="json")

    assert answer.status_code == 404


def test_a_limit_is_set_and_taken_away_and_nonsense_is_refused(sam):
    path = "/api/v1/tenants/acme/limits"

    assert sam.post(path, {"concurrency": 3}, format="json").json()["concurrency"] == 3
    assert sam.post(path, {"concurrency": None}, format="json").json()["concurrency"] is None
    refused = sam.post(path, {"concurrency": 0}, format="json")
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["concurrency"])
