"""The admin host's pages: seeing, opening, suspending and resuming tenants."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from execfabric.core.models import AuditEvent
from tenants.registry.models import Tenant, TenantStatus

pytestmark = pytest.mark.usefixtures("platform")
NEW = {"name": "initech", "title": "Initech Ltd", "username": "bill"}


@pytest.fixture
def sam(person):
    return person("sam").browser


def text_of(response) -> str:
    return response.content.decode()


@pytest.mark.parametrize("path", ["/platform/", "/platform/tenants/", "/platform/tenants/open/"])
def test_who_is_no_super_admin_finds_no_page(person, path):
    from execfabric.core.actor import Actor, Door
    from tenants.accounts.services import create_account

    create_account(
        actor=Actor.system("tests", door=Door.COMMAND), username="wanda", roles=frozenset()
    )

    assert person("wanda").browser.get(path).status_code == 404
    anonymous = Client(headers={"host": "admin.localhost"}).get(path)
    assert anonymous.url == f"/platform/login/?next={path}"


def test_the_start_page_counts_tenants(sam):
    page = text_of(sam.get("/platform/"))

    assert "Acme" in page
    assert "Latest acts" in page


def test_tenants_are_listed_and_filtered(sam):
    everything = text_of(sam.get("/platform/tenants/"))
    found = text_of(sam.get("/platform/tenants/", {"q": "globex.localhost"}))

    assert "acme.localhost" in everything
    assert "globex.localhost" in found
    assert "acme.localhost" not in found
    assert "No tenant fits" in text_of(sam.get("/platform/tenants/", {"status": "closed"}))


def test_the_list_costs_the_same_however_many_tenants_there_are(sam, django_assert_max_num_queries):
    with django_assert_max_num_queries(9):
        sam.get("/platform/tenants/")


@pytest.mark.usefixtures("owner_session")
def test_opening_a_tenant_shows_its_address_and_the_owners_link_once(sam):
    response = sam.post("/platform/tenants/open/", NEW)

    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    page = text_of(response)
    assert "http://initech.localhost:8000/" in page
    link = re.search(r"http://initech\.localhost:8000(/set-password/[^<\s]+)", page)
    assert link
    host = {"host": "initech.localhost"}
    assert Client(headers=host).get(link[1]).status_code == 200
    assert "set-password" not in text_of(sam.get("/platform/tenants/initech/"))


@pytest.mark.usefixtures("owner_session")
def test_a_typed_password_makes_no_link(sam):
    page = text_of(sam.post("/platform/tenants/open/", {**NEW, "password": "long-words-here-7"}))

    assert "set-password" not in page
    assert "long-words-here-7" not in page


@pytest.mark.usefixtures("owner_session")
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "No Good!"}, "name"),
        ({"name": "admin"}, "name"),
        ({"title": " "}, "title"),
        ({"domain": "not a host"}, "domain"),
        ({"email": "nobody"}, "email"),
        ({"username": "two words"}, "username"),
        ({"password": "short"}, "password"),
    ],
)
def test_what_does_not_fit_is_shown_beside_its_field(sam, wrong, field):
    response = sam.post("/platform/tenants/open/", {**NEW, **wrong})

    assert response.status_code == 422
    assert f'id="id_{field}_error"' in text_of(response)
    assert not Tenant.objects.filter(title="Initech Ltd").exists()


@pytest.mark.usefixtures("owner_session")
def test_a_name_that_is_taken_is_refused(sam):
    response = sam.post("/platform/tenants/open/", {**NEW, "name": "acme"})

    assert response.status_code == 422
    assert "exists already" in text_of(response)


def test_a_tenant_is_suspended_with_a_reason_and_resumed(sam):
    sam.post("/platform/tenants/acme/suspend/", {"reason": "Did not pay."})

    assert Tenant.objects.get(name="acme").status == TenantStatus.SUSPENDED
    assert "Did not pay." in text_of(sam.get("/platform/tenants/acme/"))

    sam.post("/platform/tenants/acme/resume/")

    assert Tenant.objects.get(name="acme").status == TenantStatus.ACTIVE


def test_nobody_is_suspended_without_a_reason(sam):
    sam.post("/platform/tenants/acme/suspend/", {"reason": ""})

    assert Tenant.objects.get(name="acme").status == TenantStatus.ACTIVE
    assert not AuditEvent.objects.filter(code="registry.tenant.suspend").exists()


@pytest.mark.parametrize("path", ["/skills/", "/executions/", "/audit/", "/login/"])
def test_business_pages_are_not_on_the_admin_host(sam, path):
    assert sam.get(path).status_code == 404
    assert sam.get("/platform/tenants/nobody/").status_code == 404
    assert sam.get("/platform/tenants/admin/").status_code == 404


def test_a_limit_is_set_on_its_page_and_shown_among_the_facts(sam):
    path = "/platform/tenants/acme/limits/"

    assert sam.post(path, {"concurrency": "-1"}).status_code == 422
    assert sam.post(path, {"concurrency": "7"}).url == "/platform/tenants/acme/"

    assert "<dd>7 · " in text_of(sam.get("/platform/tenants/acme/"))
    assert Tenant.objects.get(name="acme").concurrency == 7
