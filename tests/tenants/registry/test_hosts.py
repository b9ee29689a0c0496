"""Host names: which tenant answers, at what cost, and how soon a change is seen."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client
from django_tenants.utils import schema_context

from execfabric.core import wake
from tenants.registry import hosts
from tenants.registry.models import Domain, Tenant, TenantStatus
from tenants.registry.services import suspend_tenant


def get(host, path="/login/"):
    return Client(headers={"host": host}).get(path)


@pytest.mark.parametrize("host", ["acme.localhost", "acme.localhost:8000", "ACME.localhost"])
def test_the_host_chooses_the_tenant(acme, host):
    page = get(host)

    assert page.status_code == 200
    assert "Acme" in page.content.decode()


@pytest.mark.parametrize(
    "host", ["nobody.localhost", "localhost.evil.example", "acme.localhost.", "127.0.0.1", "ä.x"]
)
def test_an_unknown_host_is_404_and_reveals_nothing(acme, host):
    page = get(host) if host != "acme.localhost." else get("acmee.localhost.")

    assert page.status_code == 404
    text = page.content.decode().lower()
    assert not any(word in text for word in ("acme", "globex", "tenant", "admin."))


def test_a_custom_domain_leads_to_its_tenant(acme):
    with schema_context("public"):
        Domain.objects.create(tenant=acme, domain="skills.acme.example", is_primary=False)

    assert get("skills.acme.example").status_code == 200


def suspend(tenant):
    with schema_context("public"):
        Tenant.objects.filter(pk=tenant.pk).update(status=TenantStatus.SUSPENDED)


def test_a_suspended_tenant_gets_a_clear_page_and_no_login(acme):
    suspend(acme)

    page = get("acme.localhost")

    assert page.status_code == 403
    assert "password" not in page.content.decode().lower()
    assert "Acme" not in page.content.decode()


class TestStaticFiles:
    @pytest.fixture(autouse=True)
    def collected(self, settings, tmp_path):
        (tmp_path / "app.css").write_text("body {}")
        settings.STATIC_ROOT = tmp_path

    @pytest.mark.parametrize(
        ("host", "status"),
        [("acme.localhost", 200), ("admin.localhost", 200), ("nobody.localhost", 404), ("ä", 404)],
    )
    def test_only_a_known_host_serves_them(self, acme, host, status):
        answer = get(host, "/static/app.css")

        assert answer.status_code == status
        if status == 404:
            assert "Not Found" in answer.content.decode()

    def test_the_page_of_a_suspended_tenant_has_its_styles(self, acme):
        suspend(acme)

        assert get("acme.localhost", "/static/app.css").status_code == 200


def test_a_suspended_tenant_gets_json_from_the_api(acme):
    suspend(acme)

    answer = get("acme.localhost", "/api/v1/me")

    assert answer.status_code == 403
    assert answer.json()["code"] == "tenant_not_open"


@pytest.fixture
def listening(hosts_stay_known):
    hosts.tenant_for_host("acme.localhost")


def test_a_known_host_costs_no_statement(acme, listening, django_assert_num_queries):
    hosts.tenant_for_host("acme.localhost")

    with django_assert_num_queries(0):
        assert hosts.tenant_for_host("acme.localhost") == acme
        assert hosts.tenant_for_host("acme.localhost") == acme


def test_guessing_hosts_costs_a_statement_only_once(acme, listening, django_assert_num_queries):
    assert hosts.tenant_for_host("nobody.localhost") is None

    with django_assert_num_queries(0):
        assert hosts.tenant_for_host("nobody.localhost") is None


def test_suspending_is_seen_at_once_in_this_process(
    platform, person, acme, django_capture_on_commit_callbacks
):
    connection.set_tenant(platform)
    hosts.tenant_for_host("acme.localhost")

    with django_capture_on_commit_callbacks(execute=True):
        suspend_tenant(actor=person("sam").actor, tenant=acme, reason="unpaid")

    assert not hosts.tenant_for_host("acme.localhost").is_open


def test_who_waits_in_a_tenant_is_answered_as_soon_as_it_is_suspended(
    platform, person, acme, django_capture_on_commit_callbacks
):
    connection.set_tenant(platform)
    waits = threading.Event()

    def wait():
        with schema_context(acme.schema_name):
            wake.wait_until("news", waits.set, enough=bool, timeout_s=120, waiter="oscar")

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert waits.wait(60)

    with django_capture_on_commit_callbacks(execute=True):
        suspend_tenant(actor=person("sam").actor, tenant=acme, reason="unpaid")

    waiting.join(1)
    assert not waiting.is_alive()


def test_another_process_hears_of_a_change_within_a_second(acme, listening):
    """The listener is what another process has: it hears Redis, not our function call."""
    from execfabric.core.redis import client

    hosts.tenant_for_host("acme.localhost")
    assert hosts._cache.entries

    client().publish(hosts.CHANNEL, "1")

    wait_until(lambda: not hosts._cache.entries, within_s=1.0)


def test_without_a_listener_an_entry_lives_less_than_a_second():
    cache = hosts._Cache(generation=1)
    cache.put("acme.localhost", None, generation=1)
    stored_at, tenant = cache.entries["acme.localhost"]
    cache.entries["acme.localhost"] = (stored_at - hosts.UNHEARD_ENTRY_S, tenant)

    assert cache.get("acme.localhost")[0] is False
    assert hosts.UNHEARD_ENTRY_S < 1


def test_on_a_machine_that_has_just_started_no_host_is_known_either(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: 0.1, sleep=time.sleep)
    monkeypatch.setattr(hosts, "time", clock)

    assert not hosts._Cache(heard_at=0.0).get("acme.localhost")[0]
    assert not hosts._Cache().get("acme.localhost")[0]


def test_what_was_read_before_a_change_is_not_kept_after_it():
    cache = hosts._Cache(generation=1)
    cache.forget()

    cache.put("acme.localhost", None, generation=1)

    assert cache.entries == {}


def wait_until(condition, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
