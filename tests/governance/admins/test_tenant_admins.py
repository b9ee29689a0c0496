"""Whitelisted tenant admins: one page with doors, and no platform page at all."""

from __future__ import annotations

import pytest
from django_tenants.utils import tenant_context

from execfabric.core.errors import InvalidInput
from governance.admins import services
from governance.admins.models import WhitelistEntry
from tenants.accounts.actors import roles_of
from tenants.registry.services import suspend_tenant
from tests.conftest import PASSWORD, tenant_named
from tests.tenants.accounts.test_pages import browser, log_in

ENTRANCE = "/entrance/"


@pytest.fixture
def sam(platform, person):
    return person("sam")


@pytest.fixture
def tina(sam, person):
    """On the whitelist of acme."""
    account = services.invite_tenant_admin(
        actor=sam.actor, username="tina", tenants=[tenant_named("acme")]
    )
    account.set_password(PASSWORD)
    account.save()
    return person("tina")


def test_a_super_admin_puts_somebody_on_the_whitelist(sam):
    acme = tenant_named("acme")

    page = sam.browser.post(
        "/platform/administrators/whitelist/", {"username": "tina", "tenants": [acme.pk]}
    )

    assert "/platform/set-password/" in page.content.decode()
    entry = WhitelistEntry.objects.get()
    assert (entry.account.username, entry.tenant, entry.created_by) == ("tina", acme, "sam")


def test_after_the_login_there_are_the_doors(tina):
    client = browser("admin.localhost")

    answer = log_in(client, "tina", path="/platform/login/?next=/platform/")

    assert answer["Location"] == ENTRANCE
    page = client.get(ENTRANCE).content.decode()
    assert "http://acme.localhost:8000/login/" in page
    assert "globex" not in page.lower()
    assert client.get("/")["Location"] == ENTRANCE


@pytest.mark.parametrize(
    "path",
    ["", "tenants/", "reviews/", "audit/", "credentials/", "http-resources/", "administrators/",
     "administrators/invite/", "entries/"],
)  # fmt: skip
def test_no_platform_page_is_there(tina, path):
    assert tina.browser.get(f"/platform/{path}").status_code == 404


def test_nor_anything_in_menu_or_api(tina):
    page = tina.browser.get(ENTRANCE).content.decode()

    assert "/platform/tenants/" not in page
    assert tina.api.get("/api/v1/tenants").status_code == 403
    assert roles_of(tina.account) == frozenset()


def test_own_sessions_and_second_factor_are(tina):
    assert tina.browser.get("/platform/security/").status_code == 200


def test_the_door_gives_no_right_inside(tina, acme):
    with tenant_context(acme):
        client = browser()
        assert log_in(client, "tina").status_code == 401


def test_a_suspended_tenant_is_named_and_closed(sam, tina):
    suspend_tenant(actor=sam.actor, tenant=tenant_named("acme"), reason="Unpaid.")

    page = tina.browser.get(ENTRANCE).content.decode()

    assert "Not open now" in page
    assert "acme.localhost" not in page


def test_the_whitelist_is_changed_and_holds_at_once(sam, tina):
    globex = tenant_named("globex")

    sam.browser.post(
        f"/platform/administrators/{tina.account.pk}/tenants/", {"tenants": [globex.pk]}
    )

    page = tina.browser.get(ENTRANCE).content.decode()
    assert "globex.localhost" in page
    assert "acme.localhost" not in page


def test_without_a_door_there_is_no_entrance(sam, tina):
    WhitelistEntry.objects.all().delete()

    assert tina.browser.get(ENTRANCE).status_code == 404
    assert sam.browser.get(ENTRANCE).status_code == 404


def test_the_admin_host_is_no_door(sam):
    with pytest.raises(InvalidInput):
        services.invite_tenant_admin(
            actor=sam.actor, username="tina", tenants=[tenant_named("admin")]
        )


def test_no_such_page_is_on_a_tenants_host(acme, person):
    assert person("olivia").browser.get(ENTRANCE).status_code == 404
